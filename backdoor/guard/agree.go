// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"bytes"
	"maps"
	"math/bits"
	"slices"
	"time"

	"lazystate/backdoor/uapi"
)

// mostProposed bounds what one monitor may have waiting: 8 knobs, a batch of
// kills, a lock and a fence, and some writes to plain memory.
const mostProposed = 64

// longestProposal holds a batch of kills, and bounds a write to plain memory.
const longestProposal = 64 << 10

// proposal is a record that waits for others.
type proposal struct {
	record
	at time.Duration
}

// agreement is what was agreed on: who comes later and asks for the same is let
// in until the window closes.
type agreement struct {
	place   place
	content []byte
	members uint32
	until   time.Duration
}

// hold is a lock that was agreed on: its holder renews it alone for a while.
type hold struct {
	epoch uint32
	until time.Duration
}

// propose is §3.8's delayed-write agreement: the write is kept, and takes effect
// once K voters have asked for the same bytes at the same place.
func (g *Guard) propose(now time.Duration, m *monitor, r *Request, a Agreement) Verdict {
	if len(r.Data) > longestProposal {
		return g.refuse(now, r, "too long to wait for others")
	}
	rec := m.keep(r)
	switch {
	case rec == nil:
		return Verdict{Act: Keep, Why: "until its commit word"}
	case hook(r.Kind) && !g.authentic(m, rec):
		const why = "its tag is wrong, or its number is not above the last"
		g.event(Event{Time: now, Kind: Refused, Monitor: m.slot, Region: r.Kind, Op: Write, Why: why})
		return Verdict{Act: Keep, Why: why}
	case rec.free: // the safe direction; what was agreed on ends with it
		m.held = hold{}
		return Verdict{Act: Keep, Apply: rec.puts}
	case r.Kind == uapi.KindLockReq && m.held.epoch == rec.epoch && now < m.held.until && !g.owner.bars(now, m.slot):
		return Verdict{Act: Keep, Apply: rec.puts}
	case g.join(now, m, rec):
		return Verdict{Act: Keep, Why: "agreed before", Apply: g.mine(now, m, rec)}
	}
	g.expire(now, m)
	if _, again := m.proposed[rec.place]; !again && len(m.proposed) >= mostProposed {
		return g.refuse(now, r, "it has too many writes waiting")
	}
	m.proposed[rec.place] = &proposal{*rec, now}
	apply := g.decide(now, m, rec, a)
	if apply == nil {
		return Verdict{Act: Keep, Why: "until others ask for the same"}
	}
	return Verdict{Act: Keep, Why: "agreed", Apply: apply}
}

// join lets a latecomer into an agreement that stands, and who asks again: its
// first record may have been carried out when it had given it up. A lock is used up
// by each member once, for it may have been given back since.
func (g *Guard) join(now time.Duration, m *monitor, rec *record) bool {
	g.agreed = slices.DeleteFunc(g.agreed, func(a agreement) bool { return now > a.until })
	for i := range g.agreed {
		a := &g.agreed[i]
		once := a.members>>m.slot&1 == 1 && rec.place.kind == uapi.KindLockReq
		if a.place == rec.place && !once && bytes.Equal(a.content, rec.content) {
			a.members |= 1 << m.slot
			g.event(Event{Time: now, Kind: Joined, Monitor: m.slot, Monitors: a.members, Region: rec.place.kind, Op: Write})
			return true
		}
	}
	return false
}

// mine are a record's writes, unless another owns the target: its owner's own
// record acts then, and the others' were votes.
func (g *Guard) mine(now time.Duration, m *monitor, rec *record) []Put {
	if hook(rec.place.kind) && g.owner.bars(now, m.slot) {
		return nil
	}
	if rec.place.kind == uapi.KindLockReq {
		m.held = hold{rec.epoch, now + g.policy.Hold}
	}
	return rec.puts
}

// decide counts who asks for what at the place of a new record, and returns the
// writes of those that agree: nil while they are too few, or while the owner of
// the target is not among them.
func (g *Guard) decide(now time.Duration, m *monitor, rec *record, a Agreement) []Put {
	group, others := uint32(0), uint32(0)
	for _, o := range g.monitors {
		if o == nil || a.Voters>>o.slot&1 == 0 {
			continue
		}
		g.expire(now, o)
		if p := o.proposed[rec.place]; p == nil {
			continue
		} else if bytes.Equal(p.content, rec.content) {
			group |= 1 << o.slot
		} else {
			others |= 1 << o.slot
		}
	}
	if others != 0 {
		g.event(Event{Time: now, Kind: Disagreed, Monitor: m.slot, Monitors: group, Others: others, Region: rec.place.kind, Op: Write})
	}
	if bits.OnesCount32(group) < a.K || hook(rec.place.kind) && !g.owner.among(now, group) {
		return nil
	}
	return g.agree(now, rec, group, a.Window)
}

// agree takes the group's proposals off the table and returns their writes, the
// earliest first.
func (g *Guard) agree(now time.Duration, rec *record, group uint32, window time.Duration) []Put {
	g.event(Event{Time: now, Kind: Agreed, Monitors: group, Region: rec.place.kind, Op: Write})
	g.agreed = append(g.agreed, agreement{rec.place, rec.content, group, now + window})
	var members []*monitor
	for _, o := range g.monitors {
		if o != nil && group>>o.slot&1 == 1 {
			members = append(members, o)
		}
	}
	slices.SortStableFunc(members, func(x, y *monitor) int {
		return int(x.proposed[rec.place].at - y.proposed[rec.place].at)
	})
	var puts []Put
	for _, o := range members {
		puts = append(puts, g.mine(now, o, &o.proposed[rec.place].record)...)
		delete(o.proposed, rec.place)
	}
	return puts
}

// expire drops a monitor's proposals whose window has closed.
func (g *Guard) expire(now time.Duration, m *monitor) {
	for _, at := range slices.SortedFunc(maps.Keys(m.proposed), place.compare) {
		if now > m.proposed[at].at+g.policy.Writes[at.kind].Window {
			delete(m.proposed, at)
			g.event(Event{Time: now, Kind: Expired, Monitor: m.slot, Region: at.kind, Op: Write, Why: "too few asked for the same"})
		}
	}
}
