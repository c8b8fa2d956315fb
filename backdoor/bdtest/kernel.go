// SPDX-License-Identifier: Apache-2.0

package bdtest

import (
	"slices"
	"time"

	"lazystate/backdoor/uapi"
)

// kernel is the module's side of lock, hooks and fence.
type kernel struct {
	ack       uapi.LockAck
	leaseEnd  uint64 // ns; the lock's
	fenced    bool
	where     []uint8 // where each CPU is caught when the lock stops it
	lockSeen  [uapi.Monitors]uint32
	fenceSeen [uapi.Monitors]uint32
	fenceSeq  [uapi.Monitors]uint64
	killSeen  [uapi.Monitors]uint64
	killSeq   [uapi.Monitors]uint64
	knobSeen  [uapi.Monitors][uapi.KnobSlots]uint32
	knobSeq   [uapi.Monitors]uint64
	knobs     map[uint32]int64
}

func newKernel(cpus int) kernel {
	return kernel{
		ack:   uapi.LockAck{Magic: uapi.LockMagic, NCPUs: uint32(cpus)},
		where: slices.Repeat([]uint8{uapi.CPUUser}, cpus), knobs: map[uint32]int64{},
	}
}

func (k *kernel) held() bool { return k.ack.State == uapi.LockHeld || k.fenced }

// nmi reports whether some CPU is held by NMI, so that no hook may run.
func (k *kernel) nmi() bool { return k.held() && k.ack.NMI != [4]uint64{} }

func (t *Target) now() uint64 { return uint64(time.Since(t.cfg.began) / time.Nanosecond) }

// CatchCPU sets where a CPU will be caught by the next lock (uapi.CPU*).
func (t *Target) CatchCPU(cpu int, where uint8) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kernel.where[cpu] = where
}

// Step lets the target's CPUs run for a moment: requests are seen and answered,
// leases end. It does nothing while the CPUs hang.
func (t *Target) Step() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.hung || t.gone || t.cfg.noRepair || t.generation == 0 {
		return
	}
	for m := range uint32(uapi.Monitors) {
		t.scanLock(m)
		t.scanFence(m)
	}
	t.expire()
	for m := range uint32(uapi.Monitors) {
		t.scanKills(m)
		t.scanKnobs(m)
	}
	if !t.kernel.held() {
		t.deliver()
	}
	t.writeLockAck()
}

// writeLockAck publishes the acknowledgement; its count stays even between steps.
func (t *Target) writeLockAck() {
	a := &t.kernel.ack
	a.NowNs = t.now()
	a.LeaseEndNs = t.kernel.leaseEnd
	a.Seq += 2
	a.Put(t.ram[t.area[uapi.KindLockAck]:])
}

// LockHolder returns the slot that holds the lock, and whether one does.
func (t *Target) LockHolder() (slot uint32, held bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.kernel.ack.Holder, t.kernel.ack.State == uapi.LockHeld && !t.gone
}

// Fenced reports whether the fence has fallen.
func (t *Target) Fenced() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.kernel.fenced
}

// Knob returns the value of a knob, as hooks have set it.
func (t *Target) Knob(knob uint32) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.kernel.knobs[knob]
}
