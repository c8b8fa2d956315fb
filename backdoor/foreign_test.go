// SPDX-License-Identifier: Apache-2.0

package backdoor_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
)

func TestForeignWords(t *testing.T) {
	target := bdtest.New()
	word := func(name string, addr uint64, size, flags uint32) uapi.Foreign {
		f := uapi.Foreign{Addr: addr, Size: size, Flags: flags}
		uapi.PutCString(f.Name[:], name)
		return f
	}
	threads := target.Alloc(64)
	target.Poke64(threads, 0xffffffff00000123)
	target.SetForeign(
		word("nr_threads", threads, 4, 0),
		word("wild", 0xffff888fffff0000, 8, 0),
		word("runqueues", 0x1234, 8, backdoor.ForeignPerCPU),
		word("too-wide", threads, 16, 0),
		word("bad\x1bname", threads, 8, 0),
	)
	bt := open(t, target)
	words, err := bt.Foreign(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []backdoor.Foreign{{"nr_threads", threads, 4, 0}, {"wild", 0xffff888fffff0000, 8, 0}, {"runqueues", 0x1234, 8, 1}}
	if d := cmp.Diff(want, words); d != "" {
		t.Fatalf("want (-), got (+)\n%s", d)
	}
	values, ok, err := bt.ForeignValues(t.Context(), words)
	if err != nil || !cmp.Equal(values, []uint64{0x123, 0, 0}) || !cmp.Equal(ok, []bool{true, false, false}) {
		t.Errorf("%#x, %v, %v", values, ok, err)
	}
}
