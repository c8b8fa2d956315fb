// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"unsafe"

	"lazystate/verbs/driver"
)

// cArray is an array in C memory that grows and is used again by every post.
type cArray[T any] struct {
	p *T
	n int
}

// atLeast returns n elements; what was in them is lost when it has to grow.
func (a *cArray[T]) atLeast(n int) []T {
	if n > a.n {
		a.free()
		n = max(n, 2*a.n, 16)
		var zero T
		a.p = (*T)(C.calloc(C.size_t(n), C.size_t(unsafe.Sizeof(zero)))) // cgo ends the process rather than return NULL
		a.n = n
	}
	return unsafe.Slice(a.p, a.n)[:n:n]
}

func (a *cArray[T]) free() {
	C.free(unsafe.Pointer(a.p))
	a.p, a.n = nil, 0
}

// sendArena is a queue pair's room for a batch of sends.
type sendArena struct {
	flat   cArray[C.struct_lz_send_wr]
	wr     cArray[C.struct_ibv_send_wr]
	sge    cArray[driver.SGE]
	inline cArray[byte]
}

func (a *sendArena) free() {
	a.flat.free()
	a.wr.free()
	a.sge.free()
	a.inline.free()
}

// recvArena is the same for receives.
type recvArena struct {
	flat cArray[C.struct_lz_recv_wr]
	wr   cArray[C.struct_ibv_recv_wr]
	sge  cArray[driver.SGE]
}

func (a *recvArena) free() {
	a.flat.free()
	a.wr.free()
	a.sge.free()
}

// fill copies a batch into the arena.
func (a *recvArena) fill(wrs []driver.RecvWR) {
	sges := 0
	for i := range wrs {
		sges += len(wrs[i].SG)
	}
	flat, sge := a.flat.atLeast(len(wrs)), a.sge.atLeast(sges)
	a.wr.atLeast(len(wrs))
	for i := range wrs {
		w := &wrs[i]
		flat[i] = C.struct_lz_recv_wr{wr_id: C.uint64_t(w.ID), num_sge: C.uint32_t(len(w.SG))}
		sge = sge[copy(sge, w.SG):]
	}
}

// size returns how many scatter entries and inline bytes a batch has.
func size(wrs []driver.SendWR) (sges, inline int) {
	for i := range wrs {
		w := &wrs[i]
		sges += len(w.SG)
		if w.Flags&driver.SendInline != 0 {
			sges++
			inline += len(w.Inline)
		}
	}
	return sges, inline
}
