// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// memory is a mapped box. Other processes write to it at any moment, so
// whatever is read from it and decided upon is read once, by a word.
type memory []byte

// word32 is for words that order other accesses: every store is a full barrier.
func (m memory) word32(off uint64) *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(&m[off])) }

func (m memory) word64(off uint64) *atomic.Uint64 { return (*atomic.Uint64)(unsafe.Pointer(&m[off])) }

// put32 is a store without a barrier. On amd64 stores are seen in their order.
func (m memory) put32(off uint64, v uint32) { *(*uint32)(unsafe.Pointer(&m[off])) = v }

func (m memory) put64(off uint64, v uint64) { *(*uint64)(unsafe.Pointer(&m[off])) = v }

func (m memory) unmap() {
	if m != nil {
		_ = unix.Munmap(m)
	}
}

// ring is an area whose byte off of a stream lies at (off - base) % its size.
type ring struct {
	data []byte
	base uint64
}

// at returns the bytes from off on as far as they lie together.
func (r ring) at(off, n uint64) []byte {
	i := (off - r.base) & uint64(len(r.data)-1)
	return r.data[i:min(uint64(len(r.data)), i+n)]
}

// put copies b to off; take copies from off into b. Both fit.
func (r ring) put(off uint64, b []byte) {
	n := copy(r.at(off, uint64(len(b))), b)
	copy(r.data, b[n:])
}

func (r ring) take(off uint64, b []byte) {
	n := copy(b, r.at(off, uint64(len(b))))
	copy(b[n:], r.data)
}
