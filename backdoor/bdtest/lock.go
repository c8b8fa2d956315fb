// SPDX-License-Identifier: Apache-2.0

package bdtest

import "lazystate/backdoor/uapi"

func (t *Target) scanLock(m uint32) {
	pa := t.area[uapi.KindLockReq] + uint64(m)*uapi.LockReqSize
	var r uapi.LockReq
	_ = r.Decode(t.at(pa, uapi.LockReqSize))
	k := &t.kernel
	if r.Commit == k.lockSeen[m] || r.Commit != uint32(r.Seq) {
		return
	}
	k.lockSeen[m] = r.Commit
	if why := t.judgeLock(m, &r); why != uapi.RefuseNone {
		k.ack.Refusal[m], k.ack.RefusedSeq[m] = why, r.Seq
		return
	}
	k.ack.AcceptedSeq[m] = r.Seq
	if r.Want == uapi.WantFree {
		if k.ack.State == uapi.LockHeld && k.ack.Holder == m {
			t.releaseLock()
		}
		return
	}
	k.leaseEnd = t.now() + uint64(r.LeaseMs)*1e6
	if k.ack.State != uapi.LockHeld {
		t.grantLock(m, &r)
	}
}

func (t *Target) judgeLock(m uint32, r *uapi.LockReq) uint32 {
	k := &t.kernel
	key, ok := t.cfg.keys[m]
	signed := *r
	if ok {
		signed.Monitor = m
		signed.Sign(key, t.boot, uapi.KindLockReq)
	}
	held := k.ack.State == uapi.LockHeld
	switch {
	case !ok:
		return uapi.RefuseNoKey
	case signed.Tag != r.Tag || r.Monitor != m:
		return uapi.RefuseTag
	case r.Seq <= k.ack.AcceptedSeq[m]:
		return uapi.RefuseSeq
	case k.fenced:
		return uapi.RefuseFenced
	case r.Want == uapi.WantLock && (r.LeaseMs < 1 || r.LeaseMs > 60000):
		return uapi.RefuseLease
	case r.Want == uapi.WantLock && held && (k.ack.Holder != m || k.ack.Epoch != r.Epoch):
		return uapi.RefuseBusy
	}
	return uapi.RefuseNone
}

func (t *Target) grantLock(m uint32, r *uapi.LockReq) {
	a := &t.kernel.ack
	a.State, a.Holder, a.Epoch, a.Drained, a.SinceNs = uapi.LockHeld, m, r.Epoch, 1, t.now()
	a.Grants++
	a.IPI, a.NMI, a.Parked, a.Free = [4]uint64{}, [4]uint64{}, [4]uint64{}, [4]uint64{}
	for cpu, where := range t.kernel.where {
		drained := where == uapi.CPUUser || where == uapi.CPUIdle
		a.CPU[cpu] = uapi.LockCPU{Where: where, EpochLo: r.Epoch}
		mask := &a.IPI
		switch {
		case drained:
			a.CPU[cpu].Drained = 1
		case where == uapi.CPURunning:
			mask = &a.Free
		case where >= uapi.CPUNMIUser && r.Flags&uapi.LockNMI != 0:
			mask = &a.NMI
		case where >= uapi.CPUNMIUser:
			mask, a.CPU[cpu].Where = &a.Free, uapi.CPURunning
		}
		if !drained {
			a.Drained = 0
		}
		mask[cpu/64] |= 1 << (cpu % 64)
	}
}

func (t *Target) releaseLock() {
	a := &t.kernel.ack
	a.State, a.SinceNs, t.kernel.leaseEnd = uapi.LockFree, t.now(), 0
	a.IPI, a.NMI, a.Parked = [4]uint64{}, [4]uint64{}, [4]uint64{}
}

func (t *Target) expire() {
	if t.kernel.ack.State == uapi.LockHeld && t.now() > t.kernel.leaseEnd {
		t.releaseLock()
		t.kernel.ack.Expired++
	}
}

func (t *Target) scanFence(m uint32) {
	if !t.cfg.fence {
		return
	}
	pa := t.area[uapi.KindFence] + uint64(m)*uapi.FenceReqSize
	var r uapi.FenceReq
	_ = r.Decode(t.at(pa, uapi.FenceReqSize))
	k := &t.kernel
	if r.Commit == k.fenceSeen[m] || r.Commit != uint32(r.Seq) {
		return
	}
	k.fenceSeen[m] = r.Commit
	key, ok := t.cfg.keys[m]
	switch {
	case !ok:
		k.ack.Refusal[m], k.ack.RefusedSeq[m] = uapi.RefuseNoKey, r.Seq
	case !r.SignedWith(key, t.boot) || r.Monitor != m || r.Want != uapi.FenceWant:
		k.ack.Refusal[m], k.ack.RefusedSeq[m] = uapi.RefuseTag, r.Seq
	case r.Seq <= k.fenceSeq[m]:
		k.ack.Refusal[m], k.ack.RefusedSeq[m] = uapi.RefuseSeq, r.Seq
	default:
		k.fenceSeq[m] = r.Seq
		k.fenced = true
		k.ack.State, k.ack.Holder, k.ack.SinceNs = uapi.LockFenced, m, t.now()
	}
}
