// SPDX-License-Identifier: Apache-2.0

package heap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// ErrFull is a region without a block that is large enough.
var ErrFull = errors.New("the shared region is full")

// Layout of the header: the end of what was ever given out, then for each class
// the first free block. Before a block lies a word that is its class while it is
// in use; in a free one the first word is the next free block.
//
// Class c is of blocks of 2^c bytes, the word before them included. Class
// paged+c is of blocks of 2^c bytes that are aligned to pages.
const (
	smallest = 4
	paged    = 40
	classes  = 2 * paged
	header   = 8 + 8*classes
	word     = 8
)

// Heap is the region as the program sees it. Its methods need the lock.
type Heap struct {
	Mem      []byte
	PageSize int
}

func (h Heap) get(at uint64) uint64    { return binary.LittleEndian.Uint64(h.Mem[at:]) }
func (h Heap) put(at uint64, v uint64) { binary.LittleEndian.PutUint64(h.Mem[at:], v) }

// class is that of the least blocks that hold n bytes.
func (h Heap) class(n int) int {
	if n >= h.PageSize {
		return paged + bits.Len64(uint64(n)-1)
	}
	return max(bits.Len64(uint64(n)+word-1), smallest)
}

// Alloc returns the offset of n bytes. Fresh ones are zeros, ones that were freed
// have what was left in them.
func (h Heap) Alloc(n int) (int, error) {
	if n <= 0 || n > len(h.Mem) {
		return 0, fmt.Errorf("allocate %d bytes of %d: %w", n, len(h.Mem), ErrFull)
	}
	c := h.class(n)
	list := uint64(8 + 8*c)
	at := h.get(list)
	if at != 0 {
		h.put(list, h.get(at))
	} else if at = h.fresh(c); at == 0 {
		return 0, fmt.Errorf("allocate %d bytes, %d of %d are given out: %w", n, h.get(0), len(h.Mem), ErrFull)
	}
	h.put(at-word, uint64(c))
	return int(at), nil
}

// fresh takes a block from what was never given out; 0 is none.
func (h Heap) fresh(c int) uint64 {
	at, size := max(h.get(0), header)+word, uint64(1)<<c-word
	if c >= paged {
		page := uint64(h.PageSize)
		at, size = (at+page-1)/page*page, uint64(1)<<(c-paged)
	}
	if at+size > uint64(len(h.Mem)) {
		return 0
	}
	h.put(0, at+size)
	return at
}

// Free gives a block back.
func (h Heap) Free(off int) error {
	at := uint64(off)
	if off < header+word || at >= h.get(0) || at%word != 0 {
		return fmt.Errorf("free %d: it was never given out", off)
	}
	c := h.get(at - word)
	if c < smallest || c >= classes {
		return fmt.Errorf("free %d: it is no block in use", off)
	}
	list := 8 + 8*c
	h.put(at-word, 0)
	h.put(at, h.get(list))
	h.put(list, at)
	return nil
}
