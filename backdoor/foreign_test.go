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
	target := bdtest.New(bdtest.WithCPUs(3))
	word := func(name string, addr uint64, size, flags uint32) uapi.Foreign {
		f := uapi.Foreign{Addr: addr, Size: size, Flags: flags}
		uapi.PutCString(f.Name[:], name)
		return f
	}
	threads := target.Alloc(64)
	target.Poke64(threads, 0xffffffff00000123)
	areas := target.Alloc(384)
	for cpu := range uint64(3) {
		target.Poke64(threads+8+8*cpu, areas+128*cpu-0x1000) // a symbol's offset in the areas begins at 0x1000
		target.Poke64(areas+128*cpu+16, 40+cpu)
	}
	target.SetForeign(
		word("nr_threads", threads, 4, 0),
		word("wild", 0xffff888fffff0000, 8, 0),
		word("nr_switches", 0x1010, 8, backdoor.ForeignPerCPU|backdoor.ForeignSum),
		word("__per_cpu_offset", threads+8, 64, 0),
		word("too-wide", threads, 5000, 0),
		word("bad\x1bname", threads, 8, 0),
	)
	bt := open(t, target)
	words, err := bt.Foreign(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(words) != 4 || words[0] != (backdoor.Foreign{Name: "nr_threads", Addr: threads, Size: 4}) {
		t.Fatalf("words %+v", words)
	}
	values, err := bt.ReadForeign(t.Context(), words)
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		V  uint64
		OK bool
		N  int
	}
	var got []result
	for _, v := range values[:3] {
		n, ok := v.Uint64()
		got = append(got, result{n, ok, len(v.Copies)})
	}
	if d := cmp.Diff([]result{{0x123, true, 1}, {0, false, 1}, {123, true, 3}}, got); d != "" {
		t.Errorf("want (-), got (+)\n%s", d)
	}
	// Without the offsets a per-CPU word has no copies.
	if values, err = bt.ReadForeign(t.Context(), words[2:3]); err != nil || len(values[0].Copies) != 0 {
		t.Errorf("%v, %v", values, err)
	}
}
