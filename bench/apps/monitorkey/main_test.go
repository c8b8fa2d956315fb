// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lazystate/backdoor/uapi"
)

func TestParse(t *testing.T) {
	got, err := parse([]string{"3", "000102030405060708090a0b0c0d0e0f"})
	if err != nil {
		t.Fatal(err)
	}
	want := uapi.IOCKey{Version: uapi.VersionMajor, Monitor: 3, Key: [16]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestWrongUseExits2(t *testing.T) {
	for _, args := range [][]string{nil, {"0"}, {"8", "000102030405060708090a0b0c0d0e0f"}, {"0", "00"}, {"0", "not hexadecimal"}} {
		if code := run(t.Context(), args, nil, io.Discard, io.Discard); code != 2 {
			t.Errorf("%v: exit %d", args, code)
		}
	}
}

func TestAFileThatIsNoBackdoorIsAnError(t *testing.T) {
	if err := give("/dev/null", uapi.IOCKey{}); err == nil {
		t.Error("/dev/null took a key")
	}
	if err := give("/nonexistent", uapi.IOCKey{}); err == nil {
		t.Error("a device that is not there took a key")
	}
}
