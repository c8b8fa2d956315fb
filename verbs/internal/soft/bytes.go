// SPDX-License-Identifier: Apache-2.0

package soft

import (
	"encoding/binary"
	"sync/atomic"

	"lazystate/verbs/driver"
)

// Scatter copies data into parts, from their byte off on.
func Scatter(parts [][]byte, off uint64, data []byte) {
	for _, p := range parts {
		if off >= uint64(len(p)) {
			off -= uint64(len(p))
			continue
		}
		data = data[copy(p[off:], data):]
		off = 0
	}
}

// Gather fills b with what parts hold from their byte off on.
func Gather(b []byte, parts [][]byte, off uint64) {
	for _, p := range parts {
		if off >= uint64(len(p)) {
			off -= uint64(len(p))
			continue
		}
		b = b[copy(b, p[off:]):]
		off = 0
	}
}

// Atomic executes a remote atomic on p with a locked instruction, and returns
// what was there.
func Atomic(op driver.Opcode, p *uint64, compareAdd, swap uint64) (old uint64) {
	if op == driver.OpAtomicFetchAndAdd {
		return atomic.AddUint64(p, compareAdd) - compareAdd
	}
	for {
		if old = atomic.LoadUint64(p); old != compareAdd {
			return old
		}
		if atomic.CompareAndSwapUint64(p, compareAdd, swap) {
			return compareAdd
		}
	}
}

// Word returns the bytes of v as memory has them.
func Word(v uint64) []byte { return binary.NativeEndian.AppendUint64(nil, v) }
