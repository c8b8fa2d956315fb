// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"fmt"
	"math/bits"
	"time"

	"lazystate/backdoor/uapi"
)

// Bounds of a lease of ownership, as the module has them.
const (
	leastLease   = 100 * time.Millisecond
	longestLease = time.Hour
)

// owner is who repairs the target: a slot, an epoch that rises with every new
// owner, and a lease. It is taken by a record and never by an atomic operation,
// so it is taken alike over every carrier (bd_rdma.h, struct bd_owner_req).
type owner struct {
	slot         uint32
	held         bool
	epoch        uint32
	since, until time.Duration
	changes      uint64
	highest      [uapi.Monitors]uint64 // sequence number that a right tag came with
	refusal      [uapi.Monitors]uint32
	refused      [uapi.Monitors]uint64
	accepted     [uapi.Monitors]uint64
}

func newOwner(floor uint64) owner {
	o := owner{slot: uapi.OwnerNone}
	for i := range o.accepted {
		o.accepted[i], o.highest[i] = floor, floor
	}
	return o
}

func (o *owner) owned(now time.Duration) bool { return o.held && now < o.until }

// bars reports whether another than slot owns the target.
func (o *owner) bars(now time.Duration, slot uint32) bool { return o.owned(now) && o.slot != slot }

// among reports whether nobody owns the target, or one of a group does.
func (o *owner) among(now time.Duration, group uint32) bool {
	return !o.owned(now) || group>>o.slot&1 == 1
}

func (o *owner) why() string {
	return fmt.Sprintf("monitor %d owns the target, epoch %d", o.slot, o.epoch)
}

// claim takes a write to the owner records, and judges the one it completes.
func (g *Guard) claim(now time.Duration, m *monitor, r *Request) Verdict {
	s := m.shadowOf(r.Kind)
	at := r.Off - s.records.off
	copy(s.data[at:], r.Data)
	const commit = uapi.OwnerReqCommitOff
	if at > commit || at+uint64(len(r.Data)) < commit+4 {
		return Verdict{Act: Keep, Why: "until its commit word"}
	}
	var q uapi.OwnerReq
	_ = q.Decode(s.data) // a shadow holds a whole record
	if q.Commit != uint32(q.Seq) {
		return Verdict{Act: Keep, Why: "half a record"}
	}
	g.owner.lapse(g, now)
	why := g.owner.judge(m, &q, uapi.Tag(m.Key, g.boot, uapi.KindOwnerReq, m.slot, s.data[:uapi.OwnerReqTagOff]))
	if why != uapi.OwnNone {
		g.owner.refusal[m.slot], g.owner.refused[m.slot] = why, q.Seq
		g.event(Event{Time: now, Kind: Refused, Monitor: m.slot, Region: r.Kind, Op: Write, Why: uapi.OwnerRefusalName(why)})
		return Verdict{Act: Keep, Why: uapi.OwnerRefusalName(why)}
	}
	g.owner.accepted[m.slot] = q.Seq
	g.owner.take(g, now, m.slot, &q)
	return Verdict{Act: Keep}
}

// judge says why a record is refused. Its sequence number is used up unless the
// record is nobody's.
func (o *owner) judge(m *monitor, q *uapi.OwnerReq, tag uint64) uint32 {
	lease := time.Duration(q.LeaseMs) * time.Millisecond
	switch {
	case q.Tag != tag || q.Monitor != m.slot:
		return uapi.OwnTag
	case q.Seq <= o.highest[m.slot]:
		return uapi.OwnSeq
	}
	o.highest[m.slot] = q.Seq
	switch {
	case q.Want == uapi.OwnerGive:
		return uapi.OwnNone
	case q.Want != uapi.OwnerTake || lease < leastLease || lease > longestLease:
		return uapi.OwnLease
	case o.held && o.slot != m.slot:
		return uapi.OwnHeld
	case q.Epoch < o.epoch || q.Epoch == o.epoch && o.slot != m.slot:
		return uapi.OwnEpoch
	}
	return uapi.OwnNone
}

// take does what an accepted record asks for. The last owner may come back with
// the epoch it had.
func (o *owner) take(g *Guard, now time.Duration, slot uint32, q *uapi.OwnerReq) {
	if q.Want == uapi.OwnerGive {
		if o.held && o.slot == slot && o.epoch == q.Epoch {
			g.event(Event{Time: now, Kind: Given, Monitor: slot, Epoch: o.epoch})
			o.held = false
		}
		return
	}
	if !o.held || q.Epoch != o.epoch {
		o.slot, o.held, o.epoch, o.since = slot, true, q.Epoch, now
		o.changes++
		g.event(Event{Time: now, Kind: Owned, Monitor: slot, Epoch: o.epoch})
	}
	o.until = now + time.Duration(q.LeaseMs)*time.Millisecond
}

// lapse ends an ownership whose lease has run out.
func (o *owner) lapse(g *Guard, now time.Duration) {
	if o.held && now >= o.until {
		o.held = false
		g.event(Event{Time: now, Kind: Lapsed, Monitor: o.slot, Epoch: o.epoch})
	}
}

// Owner returns who owns the target; ok is false if nobody does.
func (g *Guard) Owner(now time.Duration) (slot, epoch uint32, ok bool) {
	return g.owner.slot, g.owner.epoch, g.owner.owned(now)
}

// OwnerAck is what a monitor reads in the region uapi.KindOwnerAck.
func (g *Guard) OwnerAck(now time.Duration) uapi.OwnerAck {
	o := &g.owner
	a := uapi.OwnerAck{
		Magic: uapi.OwnerMagic, Owner: uapi.OwnerNone, Epoch: o.epoch, SinceNs: uint64(o.since), NowNs: uint64(now),
		LeaseEndNs: uint64(o.until), Changes: o.changes, Refusal: o.refusal, RefusedSeq: o.refused, AcceptedSeq: o.accepted,
	}
	if o.owned(now) {
		a.Owner = o.slot
	}
	return a
}

// monitors lists the slots of a mask.
func monitors(mask uint32) []int {
	var slots []int
	for ; mask != 0; mask &= mask - 1 {
		slots = append(slots, bits.TrailingZeros32(mask))
	}
	return slots
}
