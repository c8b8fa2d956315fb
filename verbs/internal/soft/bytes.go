// SPDX-License-Identifier: Apache-2.0

package soft

import (
	"encoding/binary"
	"sync/atomic"

	"lazystate/verbs/driver"
)

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
