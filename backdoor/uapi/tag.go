// SPDX-License-Identifier: Apache-2.0

package uapi

import (
	"encoding/binary"

	"github.com/dchest/siphash"
)

// Key is the 128-bit key of one monitor slot, bound to one boot of a target.
type Key [16]byte

// Tag authenticates a record that a monitor writes: SipHash-2-4 over the boot
// id, the kind of the region, the index and the record's bytes before its tag.
// index is the record's last subscript: the monitor slot in the lock and fence
// areas and in what is said when connecting, i of slot[monitor][i] in those of
// kills, knobs and proposals.
func Tag(key Key, bootID [16]byte, kind, index uint32, body []byte) uint64 {
	msg := make([]byte, 0, 24+len(body))
	msg = append(msg, bootID[:]...)
	msg = binary.LittleEndian.AppendUint32(msg, kind)
	msg = binary.LittleEndian.AppendUint32(msg, index)
	msg = append(msg, body...)
	k0 := binary.LittleEndian.Uint64(key[:8])
	k1 := binary.LittleEndian.Uint64(key[8:])
	return siphash.Hash(k0, k1, msg)
}

// Sign sets the tag of a request for the lock. The kind is in the tag: a request for the
// fence, which has the same bytes (FenceReq), cannot be passed off as one for the lock.
func (s *LockReq) Sign(key Key, bootID [16]byte, kind uint32) {
	s.Tag = Tag(key, bootID, kind, s.Monitor, s.Encode()[:LockReqTagOff])
}

// Sign sets the tag of a request for the fence.
func (s *FenceReq) Sign(key Key, bootID [16]byte) { s.Tag = s.tag(key, bootID) }

// SignedWith reports whether whoever wrote the request has the key.
func (s *FenceReq) SignedWith(key Key, bootID [16]byte) bool { return s.Tag == s.tag(key, bootID) }

func (s *FenceReq) tag(key Key, bootID [16]byte) uint64 {
	return Tag(key, bootID, KindFence, s.Monitor, s.Encode()[:FenceReqTagOff])
}

// Sign sets the tag of slot i.
func (s *KillSlot) Sign(key Key, bootID [16]byte, i uint32) {
	s.Tag = Tag(key, bootID, KindKillReq, i, s.Encode()[:KillSlotTagOff])
}

// Sign sets the tag of slot i.
func (s *KnobSlot) Sign(key Key, bootID [16]byte, i uint32) {
	s.Tag = Tag(key, bootID, KindKnobReq, i, s.Encode()[:KnobSlotTagOff])
}

// Sign sets the tag of a hello to the target with that boot id.
func (s *Hello) Sign(key Key, bootID [16]byte) {
	s.BootID = bootID
	s.Tag = Tag(key, bootID, KindHello, s.Monitor, s.Encode()[:HelloTagOff])
}

// SignedWith reports whether whoever sent the hello has the key.
func (s *Hello) SignedWith(key Key) bool {
	return s.Tag == Tag(key, s.BootID, KindHello, s.Monitor, s.Encode()[:HelloTagOff])
}

// Sign sets the tag of a denial in the name of the target.
func (s *Denial) Sign(key Key) {
	s.Tag = Tag(key, s.BootID, KindDenial, s.Monitor, s.Encode()[:DenialTagOff])
}

// SignedWith reports whether whoever sent the denial has the key.
func (s *Denial) SignedWith(key Key) bool {
	return s.Tag == Tag(key, s.BootID, KindDenial, s.Monitor, s.Encode()[:DenialTagOff])
}

// Sign sets the tag of a grant in the name of the target.
func (s *Grant) Sign(key Key) {
	s.Tag = Tag(key, s.Root.BootID, KindGrant, s.Monitor, s.Encode()[:GrantTagOff])
}

// SignedWith reports whether whoever sent the grant has the key.
func (s *Grant) SignedWith(key Key) bool {
	return s.Tag == Tag(key, s.Root.BootID, KindGrant, s.Monitor, s.Encode()[:GrantTagOff])
}

// Sign sets the tag of a request for ownership.
func (s *OwnerReq) Sign(key Key, bootID [16]byte) {
	s.Tag = Tag(key, bootID, KindOwnerReq, s.Monitor, s.Encode()[:OwnerReqTagOff])
}

// Sign sets the tag of the proposal in slot i. Its Len counts, not what lies
// in Data behind it.
func (s *Proposal) Sign(key Key, bootID [16]byte, i uint32) {
	raw := s.Encode()
	body := append(raw[:ProposalTagOff:ProposalTagOff], s.Data[:min(int(s.Len), len(s.Data))]...)
	s.Tag = Tag(key, bootID, KindProposals, i, body)
}
