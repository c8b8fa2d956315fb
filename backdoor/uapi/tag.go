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
// areas, i of slot[monitor][i] in those of kills and knobs.
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

// Sign sets the tag of a lock or fence request.
func (s *LockReq) Sign(key Key, bootID [16]byte, kind uint32) {
	s.Tag = Tag(key, bootID, kind, s.Monitor, s.Encode()[:LockReqTagOff])
}

// Sign sets the tag of slot i.
func (s *KillSlot) Sign(key Key, bootID [16]byte, i uint32) {
	s.Tag = Tag(key, bootID, KindKillReq, i, s.Encode()[:KillSlotTagOff])
}

// Sign sets the tag of slot i.
func (s *KnobSlot) Sign(key Key, bootID [16]byte, i uint32) {
	s.Tag = Tag(key, bootID, KindKnobReq, i, s.Encode()[:KnobSlotTagOff])
}
