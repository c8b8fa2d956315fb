// SPDX-License-Identifier: Apache-2.0

package bdtest

import "lazystate/backdoor/uapi"

// owner is the module's side of ownership.
type owner struct {
	ack  uapi.OwnerAck
	held bool
	seen [uapi.Monitors]uint32
}

func (t *Target) scanOwner(m uint32) {
	pa := t.area[uapi.KindOwnerReq] + uint64(m)*uapi.OwnerReqSize
	var r uapi.OwnerReq
	_ = r.Decode(t.at(pa, uapi.OwnerReqSize))
	o := &t.kernel.owner
	if r.Commit == o.seen[m] || r.Commit != uint32(r.Seq) {
		return
	}
	o.seen[m] = r.Commit
	if why := t.judgeOwner(m, &r); why != uapi.OwnNone {
		o.ack.Refusal[m], o.ack.RefusedSeq[m] = why, r.Seq
		return
	}
	o.ack.AcceptedSeq[m] = r.Seq
	if r.Want == uapi.OwnerGive {
		o.held = o.held && (o.ack.Owner != m || o.ack.Epoch != r.Epoch)
		return
	}
	if !o.held || o.ack.Epoch != r.Epoch {
		o.ack.Changes++
		o.ack.SinceNs = t.now()
	}
	o.held, o.ack.Owner, o.ack.Epoch = true, m, r.Epoch
	o.ack.LeaseEndNs = t.now() + uint64(r.LeaseMs)*1e6
}

func (t *Target) judgeOwner(m uint32, r *uapi.OwnerReq) uint32 {
	o := &t.kernel.owner
	key, ok := t.cfg.keys[m]
	signed := *r
	signed.Monitor = m
	signed.Sign(key, t.boot)
	switch {
	case !ok:
		return uapi.OwnNoKey
	case signed.Tag != r.Tag || r.Monitor != m:
		return uapi.OwnTag
	case r.Seq <= max(o.ack.AcceptedSeq[m], o.ack.RefusedSeq[m]):
		return uapi.OwnSeq
	case r.Want == uapi.OwnerGive:
		return uapi.OwnNone
	case r.LeaseMs < 100 || r.LeaseMs > 3600_000:
		return uapi.OwnLease
	case o.held && o.ack.Owner != m:
		return uapi.OwnHeld
	case r.Epoch < o.ack.Epoch || r.Epoch == o.ack.Epoch && o.ack.Owner != m:
		return uapi.OwnEpoch
	}
	return uapi.OwnNone
}

func (t *Target) writeOwnerAck() {
	o := &t.kernel.owner
	o.held = o.held && t.now() < o.ack.LeaseEndNs
	a := o.ack
	a.Magic, a.NowNs = uapi.OwnerMagic, t.now()
	if !o.held {
		a.Owner = uapi.OwnerNone
	}
	o.ack.Seq += 2
	a.Put(t.ram[t.area[uapi.KindOwnerAck]:])
}
