// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lazystate/backdoor/uapi"
)

func TestKeysOnlyNeedsKeys(t *testing.T) {
	var out, errs strings.Builder
	if code := run(t.Context(), []string{"bdagent", "--keys-only"}, nil, &out, &errs); code != 2 || !strings.Contains(errs.String(), "needs --keys") {
		t.Errorf("exit %d: %s", code, errs.String())
	}
}

func TestRevokeNeedsASlot(t *testing.T) {
	for _, slot := range []string{"", "x", "8", "-1"} {
		var out, errs strings.Builder
		if code := run(t.Context(), []string{"bdagent", "--revoke", slot}, nil, &out, &errs); code != 2 || !strings.Contains(errs.String(), "want a slot") {
			t.Errorf("%q: exit %d: %s", slot, code, errs.String())
		}
	}
}

func TestAFileThatIsNoBackdoorIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte("3 000102030405060708090a0b0c0d0e0f\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	d := &device{f: f}
	defer d.Close()
	if err := giveKeys(d, options{keys: path}); err == nil || !strings.Contains(err.Error(), "monitor 3") {
		t.Errorf("/dev/null took a key: %v", err)
	}
	if err := d.setKey(0, uapi.Key{}); err == nil {
		t.Error("/dev/null took a key")
	}
}
