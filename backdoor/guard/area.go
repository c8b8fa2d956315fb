// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"slices"

	"lazystate/backdoor/uapi"
)

// hook reports the regions by which a target is repaired: they have one owner.
func hook(kind uint32) bool {
	switch kind {
	case uapi.KindLockReq, uapi.KindFence, uapi.KindKillReq, uapi.KindKnobReq:
		return true
	}
	return false
}

// slotted reports the regions of which each monitor has a part of its own.
func slotted(kind uint32) bool {
	return hook(kind) || kind == uapi.KindOwnerReq || kind == uapi.KindProposals
}

type area struct{ off, len uint64 }

func (a area) contains(off, n uint64) bool {
	return off >= a.off && n <= a.len && off-a.off <= a.len-n
}

// areas are a monitor's own parts of a region: where its records lie, and, of
// kills, its post word.
func areas(kind, slot uint32) (records, post area) {
	s := uint64(slot)
	switch kind {
	case uapi.KindLockReq, uapi.KindFence:
		return area{s * uapi.LockReqSize, uapi.LockReqSize}, area{}
	case uapi.KindOwnerReq:
		return area{s * uapi.OwnerReqSize, uapi.OwnerReqSize}, area{}
	case uapi.KindKnobReq:
		const n = uapi.KnobSlots * uapi.KnobSlotSize
		return area{s * n, n}, area{}
	case uapi.KindProposals:
		const n = uapi.Proposals * uapi.ProposalSize
		return area{s * n, n}, area{}
	case uapi.KindKillReq:
		const n = uapi.KillSlots * uapi.KillSlotSize
		return area{uapi.KillReqsSlotOff + s*n, n}, area{uapi.KillReqsPostOff + s*8, 8}
	}
	return area{}, area{}
}

func inOwnArea(kind, slot uint32, off, n uint64) bool {
	records, post := areas(kind, slot)
	return records.contains(off, n) || post.contains(off, n)
}

// shadow is what a monitor has written to its own slots of one region and the
// target has not been shown.
type shadow struct {
	kind, slot    uint32
	records, post area
	data, word    []byte
}

func newShadow(kind, slot uint32) *shadow {
	s := &shadow{kind: kind, slot: slot}
	s.records, s.post = areas(kind, slot)
	s.data, s.word = make([]byte, s.records.len), make([]byte, s.post.len)
	return s
}

func (m *monitor) shadowOf(kind uint32) *shadow {
	s := m.shadow[kind]
	if s == nil {
		s = newShadow(kind, m.slot)
		m.shadow[kind] = s
	}
	return s
}

// keep takes a write into the monitor's shadow of the region, and returns the
// record that it completes, if it does.
func (m *monitor) keep(r *Request) *record {
	if !slotted(r.Kind) {
		return &record{
			place: place{kind: r.Kind, a: r.Addr}, content: slices.Clone(r.Data),
			puts: []Put{{m.slot, r.Kind, r.Off, slices.Clone(r.Data)}},
		}
	}
	s := m.shadowOf(r.Kind)
	n := uint64(len(r.Data))
	if s.post.contains(r.Off, n) {
		copy(s.word[r.Off-s.post.off:], r.Data)
		return s.kills()
	}
	at := r.Off - s.records.off
	copy(s.data[at:], r.Data)
	return s.committed(at, n)
}
