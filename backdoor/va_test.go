// SPDX-License-Identifier: Apache-2.0

package backdoor_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
)

// vmalloc is an address of the vmalloc area in each paging mode.
var vmalloc = map[int]uint64{4: 0xffffc90000123000, 5: 0xffd1000000123000}

const moduleVA = 0xffffffffc0012000

func pattern(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)*7 + byte(i>>8) + seed
	}
	return b
}

func TestReadVA(t *testing.T) {
	for _, levels := range []int{4, 5} {
		t.Run(fmt.Sprintf("%d levels", levels), func(t *testing.T) {
			target := bdtest.New(bdtest.WithLevels(levels))
			direct := target.Alloc(8192)
			target.Poke(direct, pattern(8192, 1))
			// Two vmalloc pages in reverse order, a module page, a 2 MiB page.
			pa := target.Physical(direct)
			va := vmalloc[levels]
			target.MapPage(va, pa+4096, 1)
			target.MapPage(va+4096, pa, 1)
			target.MapPage(moduleVA, pa, 1)
			target.MapPage(va+1<<30, 0, 2)
			bt := open(t, target)

			reads := []backdoor.VARead{
				{VA: direct + 100, Buf: make([]byte, 5000)},
				{VA: va + 4000, Buf: make([]byte, 200)},
				{VA: moduleVA + 8, Buf: make([]byte, 8)},
				{VA: target.TaskAddr(0) + target.Offset("task_struct.comm"), Buf: make([]byte, 9)},
				{VA: (va+1<<30)&^(1<<21-1) + pa + 16, Buf: make([]byte, 64)},
			}
			if err := bt.ReadVA(t.Context(), reads); err != nil {
				t.Fatal(err)
			}
			all := pattern(8192, 1)
			want := [][]byte{all[100:5100], append(append([]byte{}, all[4096+4000:]...), all[:104]...), all[8:16], []byte("swapper/0"), all[16:80]}
			for i := range want {
				if !bytes.Equal(reads[i].Buf, want[i]) {
					t.Errorf("read %d: %x, want %x", i, reads[i].Buf, want[i])
				}
			}
		})
	}
}

// Many vmalloc addresses cost one batch a level. What the target has mapped anew
// meanwhile is read where it is now.
func TestTranslationsAreBatchedAndNotKept(t *testing.T) {
	target := bdtest.New()
	va, pa := vmalloc[4], target.Physical(target.Alloc(64*4096))
	var reads []backdoor.VARead
	for i := range uint64(64) {
		target.MapPage(va+i*4096, pa+i*4096, 1)
		reads = append(reads, backdoor.VARead{VA: va + i*4096, Buf: make([]byte, 8)})
	}
	bt := open(t, target)
	count := func() uint64 {
		before := bt.Stats()
		if err := bt.ReadVA(t.Context(), reads); err != nil {
			t.Fatal(err)
		}
		return bt.Stats().Sub(before).Batches
	}
	if n := count(); n != 5 {
		t.Errorf("%d batches; want 4 levels + 1", n)
	}
	moved := target.Alloc(4096)
	target.Poke64(moved, 0x1234)
	target.MapPage(va, target.Physical(moved), 1)
	if n := count(); n != 5 || reads[0].Buf[0] != 0x34 {
		t.Errorf("%d batches; the page has moved, the word is %x", n, reads[0].Buf)
	}
}

// Addresses that lead nowhere are errors of their own read; the others of the
// call have their bytes.
func TestReadVAHostileAddresses(t *testing.T) {
	target := bdtest.New()
	good := target.Alloc(64)
	target.Poke(good, pattern(64, 3))
	va := vmalloc[4]
	target.MapPage(va, 1<<40, 1)                                     // maps to what is no RAM
	target.Poke64(target.PageEntry(va+1<<39, 3), 0x7ff0000000000063) // a table outside RAM
	loop := target.PageEntry(va+2<<39, 3)
	target.Poke64(loop, target.Physical(loop)&^4095|0x63) // a table that names itself
	target.Poke64(target.PageEntry(va+4096, 1), 0)        // not present
	bt := open(t, target)
	for name, addr := range map[string]uint64{
		"null": 0, "user": 0x7fff12345000, "poison": 0xdead000000000100, "not canonical": 0xff00000000000000,
		"behind RAM": 0xffff888000000000 + 1<<30, "wraps": ^uint64(0) - 3, "kernel image behind RAM": 0xffffffffb0000000,
		"no RAM": va, "wild table": va + 1<<39, "loop": va + 2<<39, "not present": va + 4096, "nothing": va + 7<<39,
	} {
		reads := []backdoor.VARead{{VA: good, Buf: make([]byte, 64)}, {VA: addr, Buf: make([]byte, 8)}, {VA: good + 8, Buf: make([]byte, 8)}}
		err := bt.ReadVA(t.Context(), reads)
		if name == "loop" { // bounded; it may well find the table's own page
			continue
		}
		var bad *backdoor.AddressError
		if !errors.As(err, &bad) || reads[0].Err != nil || reads[1].Err == nil || reads[2].Err != nil {
			t.Errorf("%s: %v (%v, %v, %v)", name, err, reads[0].Err, reads[1].Err, reads[2].Err)
		}
		if !bytes.Equal(reads[0].Buf, pattern(64, 3)) || !bytes.Equal(reads[2].Buf, reads[0].Buf[8:16]) {
			t.Errorf("%s: its neighbours were not read", name)
		}
	}
}

// A carrier's refusal of one operation, here by the fake's end of RAM behind a
// region that claims more, costs its own read only.
func TestReadVARefusedByCarrier(t *testing.T) {
	target := bdtest.New()
	bt := open(t, target)
	good := target.Alloc(64)
	target.Poke(good, pattern(64, 5))
	target.Memory().Before(func(_ int, op *backdoor.Op) error {
		if len(op.Buf) == 13 {
			return &backdoor.AccessError{Op: op.Kind, Addr: op.Addr, Len: 13, Why: "the target's side refuses"}
		}
		return nil
	})
	var reads []backdoor.VARead
	for i := range 20 {
		n := 8
		if i%5 == 2 {
			n = 13
		}
		reads = append(reads, backdoor.VARead{VA: good + uint64(i), Buf: make([]byte, n)})
	}
	err := bt.ReadVA(t.Context(), reads)
	var refused *backdoor.AccessError
	if !errors.As(err, &refused) {
		t.Fatal(err)
	}
	for i, r := range reads {
		if (r.Err != nil) != (i%5 == 2) || r.Err == nil && !bytes.Equal(r.Buf, pattern(64, 5)[i:i+8]) {
			t.Errorf("read %d: %v %x", i, r.Err, r.Buf)
		}
	}
}
