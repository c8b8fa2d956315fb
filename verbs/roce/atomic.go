// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"sync/atomic"
	"unsafe"

	"lazystate/internal/mapfault"
	"lazystate/verbs/driver"
	"lazystate/verbs/roce/wire"
)

// atomicArrives runs an atomic with a LOCKed instruction, so that it is atomic
// against the owner's CPUs too (AtomicGlob; rxe's are not).
func (q *queuePair) atomicArrives(p *wire.Packet) verdict {
	r := &q.resp
	h := &p.Atomic
	if q.attr.Access&driver.AccessRemoteAtomic == 0 || h.VA%8 != 0 || len(r.jobs) >= maxJobs {
		return invalid
	}
	t := q.remote(h.RKey, driver.AccessRemoteAtomic, h.VA, 8)
	if t == nil {
		return noAccess
	}
	old, v := q.update(t, p)
	if v.nak != 0 {
		return v
	}
	r.msn++
	r.atomics.add(p.PSN, old)
	q.queueJob(job{psn: p.PSN, atomic: true, old: old})
	return accepted
}

func (q *queuePair) update(t *region, p *wire.Packet) (old uint64, v verdict) {
	h := &p.Atomic
	if t.handler != nil {
		var err error
		off := t.base + h.VA - t.addr
		if p.Opcode == wire.OpCompareSwap {
			old, err = t.handler.RemoteCmpSwap(driver.QP(q.num), off, h.Compare, h.SwapAdd)
		} else {
			old, err = t.handler.RemoteFetchAdd(driver.QP(q.num), off, h.SwapAdd)
		}
		if err != nil {
			return 0, noAccess
		}
		return old, accepted
	}
	word := (*uint64)(unsafe.Pointer(unsafe.SliceData(t.slice(h.VA, 8))))
	if uintptr(unsafe.Pointer(word))%8 != 0 {
		return 0, invalid // the iova is aligned, the memory behind it is not
	}
	err := mapfault.Do(func() {
		if p.Opcode == wire.OpCompareSwap {
			old = compareSwap(word, h.Compare, h.SwapAdd)
		} else {
			old = atomic.AddUint64(word, h.SwapAdd) - h.SwapAdd
		}
	})
	if err != nil {
		q.d.count.MemoryFaults++
		return 0, broken
	}
	return old, accepted
}

// compareSwap is CMPXCHG with the value that was there.
func compareSwap(word *uint64, compare, swap uint64) uint64 {
	for {
		old := atomic.LoadUint64(word)
		if old != compare || atomic.CompareAndSwapUint64(word, compare, swap) {
			return old
		}
	}
}
