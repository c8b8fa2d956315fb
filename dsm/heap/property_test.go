// SPDX-License-Identifier: Apache-2.0

package heap

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// Blocks in use never overlap nor touch the heap's own words, large ones are
// aligned to pages, and what is freed is given out again.
func TestBlocksAreApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := Heap{Mem: make([]byte, rapid.IntRange(header+word, 40000).Draw(t, "region")), PageSize: 512}
		type block struct{ at, n int }
		var used []block
		stamp := byte(1)
		marks := map[int]byte{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if len(used) > 0 && rapid.IntRange(0, 2).Draw(t, "free") == 0 {
				i := rapid.IntRange(0, len(used)-1).Draw(t, "which")
				if err := h.Free(used[i].at); err != nil {
					t.Fatal(err)
				}
				if h.Free(used[i].at) == nil {
					t.Fatal("freed twice")
				}
				delete(marks, used[i].at)
				used = append(used[:i], used[i+1:]...)
				continue
			}
			n := rapid.SampledFrom([]int{1, 8, 9, 100, 504, 505, 511, 512, 513, 1024, 3000}).Draw(t, "bytes")
			at, err := h.Alloc(n)
			if errors.Is(err, ErrFull) {
				continue
			}
			if err != nil || n >= 512 && at%512 != 0 || at%8 != 0 {
				t.Fatalf("%d bytes at %d: %v", n, at, err)
			}
			for i := range n {
				h.Mem[at+i] = stamp
			}
			marks[at], stamp = stamp, stamp%250+1
			used = append(used, block{at, n})
			for _, b := range used {
				for i := range b.n {
					if h.Mem[b.at+i] != marks[b.at] {
						t.Fatalf("byte %d of the block at %d was overwritten", i, b.at)
					}
				}
			}
		}
	})
}

func TestFreedIsGivenAgain(t *testing.T) {
	h := Heap{Mem: make([]byte, 8192), PageSize: 1024}
	for _, n := range []int{24, 1024, 1025} {
		a, err := h.Alloc(n)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Free(a); err != nil {
			t.Fatal(err)
		}
		if b, err := h.Alloc(n); err != nil || a != b {
			t.Errorf("%d bytes: first at %d, then at %d: %v", n, a, b, err)
		}
	}
	if a, err := h.Alloc(100); err != nil {
		t.Error(err)
	} else if h.Mem[a+4] = 7; h.Free(a+12) == nil { // as if a block of that class began there
		t.Error("half a word behind another block's beginning one is freed")
	}
	if _, err := h.Alloc(1 << 20); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
	for _, off := range []int{-1, 0, 17, 8000} {
		if h.Free(off) == nil {
			t.Errorf("%d is freed", off)
		}
	}
}
