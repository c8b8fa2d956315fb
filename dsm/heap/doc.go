// SPDX-License-Identifier: Apache-2.0

// Package heap allocates in the shared region. Its state lies in the region too,
// at its beginning, and is used under a lock of the DSM: so any process may
// allocate at any time, and recovery (§4.4) needs nothing of its own for it. A
// replayed allocation finds the heap as it was and gives the same address.
//
// Zeros are an empty heap. Blocks have sizes of powers of two; one of a page or
// more is aligned to pages, so that it can be given homes of its own.
//
// The trap: the lock is the caller's, and a block that is freed must be so by
// who could write it, for the list of free blocks is in the blocks.
//
//	h := heap.Heap{Mem: region, PageSize: 4096}
//	lock(0)
//	off, err := h.Alloc(120)
//	unlock(0)
//	b := region[off : off+120]
package heap
