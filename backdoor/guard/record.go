// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"cmp"
	"encoding/binary"
	"slices"

	"lazystate/backdoor/uapi"
)

// place is where a record takes effect, whoever writes it: §3.8's "particular
// memory location".
type place struct {
	kind uint32
	a, b uint64
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.kind, q.kind), cmp.Compare(p.a, q.a), cmp.Compare(p.b, q.b))
}

// record is a complete request in a monitor's slots. Two monitors' records ask
// for the same when place and content are the same: what differs between
// monitors by its nature (slot, sequence number, tag, epoch) is left out.
type record struct {
	place   place
	content []byte
	puts    []Put // the monitor's own bytes, in the order it must write them
	free    bool  // gives the lock up
	epoch   uint32
	seq     uint64
	signed  []signed
}

// signed is a part of a record that has a tag of its own.
type signed struct {
	index uint32 // that the tag is made with
	body  []byte // a part of the shadow
	tag   uint64
}

func tagged(index uint32, b []byte, tagOff int) signed {
	return signed{index, b[:tagOff], binary.LittleEndian.Uint64(b[tagOff:])}
}

// authentic reports whether a record is its monitor's, and new. Whoever injects
// packets into a connection casts no vote so: the target looks at the tags of what
// reaches it, but there they are those of the others who voted.
func (g *Guard) authentic(m *monitor, rec *record) bool {
	for _, s := range rec.signed {
		if s.tag != uapi.Tag(m.Key, g.boot, rec.place.kind, s.index, s.body) {
			return false
		}
	}
	if rec.seq <= m.highest[rec.place.kind] {
		return false
	}
	m.highest[rec.place.kind] = rec.seq
	return true
}

// committed returns the record whose commit word the last n bytes at off of the
// shadow cover; nil if there is none, or if it does not match its body.
func (s *shadow) committed(off, n uint64) *record {
	size, commit := uint64(uapi.LockReqSize), uint64(uapi.LockReqCommitOff)
	if s.kind == uapi.KindKnobReq {
		size, commit = uapi.KnobSlotSize, uapi.KnobSlotCommitOff
	}
	if s.kind == uapi.KindKillReq || s.kind == uapi.KindProposals || n == 0 {
		return nil
	}
	for at := off / size * size; at < off+n; at += size {
		if off <= at+commit && at+commit+4 <= off+n {
			return s.record(at, size, commit)
		}
	}
	return nil
}

func (s *shadow) record(at, size, commit uint64) *record {
	b := s.data[at : at+size]
	rec := &record{puts: []Put{
		{s.slot, s.kind, s.records.off + at, slices.Clone(b[:commit])},
		{s.slot, s.kind, s.records.off + at + commit, slices.Clone(b[commit : commit+4])},
	}}
	switch s.kind {
	case uapi.KindKnobReq:
		rec.seq = rec.knob(b)
		rec.signed = []signed{tagged(uint32(at/size), b, uapi.KnobSlotTagOff)}
	default:
		rec.seq = rec.lock(s.kind, b)
		rec.signed = []signed{tagged(s.slot, b, uapi.LockReqTagOff)}
	}
	if binary.LittleEndian.Uint32(b[commit:]) != uint32(rec.seq) {
		return nil
	}
	return rec
}

func (rec *record) lock(kind uint32, b []byte) (seq uint64) {
	var q uapi.LockReq
	_ = q.Decode(b) // a shadow holds whole records; of a fence the lease is the heir
	rec.place = place{kind: kind}
	rec.free = kind == uapi.KindLockReq && q.Want == uapi.WantFree
	rec.epoch = q.Epoch
	same := uapi.LockReq{Want: q.Want, LeaseMs: q.LeaseMs, DrainMs: q.DrainMs, Flags: q.Flags}
	rec.content = same.Encode()
	return q.Seq
}

func (rec *record) knob(b []byte) (seq uint64) {
	var q uapi.KnobSlot
	_ = q.Decode(b)
	rec.place = place{uapi.KindKnobReq, uint64(q.Knob), uint64(q.Arg)}
	same := uapi.KnobSlot{Knob: q.Knob, Arg: q.Arg, Value: q.Value, StartTime: q.StartTime}
	rec.content = same.Encode()
	return q.Seq
}

// kills returns the batch that the post word announces; nil if its slots do not
// all belong to it.
func (s *shadow) kills() *record {
	post := binary.LittleEndian.Uint64(s.word)
	count, seq := uint32(post), uint32(post>>32)
	if count == 0 || count > uapi.KillSlots {
		return nil
	}
	bodies := s.data[:count*uapi.KillSlotSize]
	rec := &record{place: place{kind: s.kind}, puts: []Put{
		{s.slot, s.kind, s.records.off, slices.Clone(bodies)},
		{s.slot, s.kind, s.post.off, slices.Clone(s.word)},
	}}
	for at := 0; at < len(bodies); at += uapi.KillSlotSize {
		var k uapi.KillSlot
		_ = k.Decode(bodies[at:])
		if uint32(k.Seq) != seq {
			return nil
		}
		rec.seq = max(rec.seq, k.Seq)
		rec.signed = append(rec.signed, tagged(uint32(at/uapi.KillSlotSize), bodies[at:], uapi.KillSlotTagOff))
		same := uapi.KillSlot{StartTime: k.StartTime, PID: k.PID, Signal: k.Signal}
		rec.content = append(rec.content, same.Encode()...)
	}
	return rec
}
