// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_kill_slot.
const (
	KillSlotSize         = 32
	KillSlotStartTimeOff = 0
	KillSlotPIDOff       = 8
	KillSlotSignalOff    = 12
	KillSlotSeqOff       = 16
	KillSlotTagOff       = 24
)

// KillSlot is struct bd_kill_slot.
type KillSlot struct {
	StartTime uint64
	PID       uint32
	Signal    uint32
	Seq       uint64
	Tag       uint64
}

// Decode copies the fields out of b, which holds at least KillSlotSize bytes.
func (s *KillSlot) Decode(b []byte) error {
	if len(b) < KillSlotSize {
		return short("bd_kill_slot", len(b), KillSlotSize)
	}
	s.StartTime = binary.LittleEndian.Uint64(b[0:])
	s.PID = binary.LittleEndian.Uint32(b[8:])
	s.Signal = binary.LittleEndian.Uint32(b[12:])
	s.Seq = binary.LittleEndian.Uint64(b[16:])
	s.Tag = binary.LittleEndian.Uint64(b[24:])
	return nil
}

// Put writes the struct into the first KillSlotSize bytes of b.
func (s *KillSlot) Put(b []byte) {
	_ = b[KillSlotSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.StartTime)
	binary.LittleEndian.PutUint32(b[8:], s.PID)
	binary.LittleEndian.PutUint32(b[12:], s.Signal)
	binary.LittleEndian.PutUint64(b[16:], s.Seq)
	binary.LittleEndian.PutUint64(b[24:], s.Tag)
}

// Encode returns the struct's bytes.
func (s *KillSlot) Encode() []byte {
	b := make([]byte, KillSlotSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_kill_reqs.
const (
	KillReqsSize    = 262208
	KillReqsPostOff = 0
	KillReqsSlotOff = 64
)

// Size and offsets of struct bd_kill_result.
const (
	KillResultSize      = 8
	KillResultSeqLoOff  = 0
	KillResultResultOff = 4
)

// KillResult is struct bd_kill_result.
type KillResult struct {
	SeqLo  uint32
	Result uint32
}

// Decode copies the fields out of b, which holds at least KillResultSize bytes.
func (s *KillResult) Decode(b []byte) error {
	if len(b) < KillResultSize {
		return short("bd_kill_result", len(b), KillResultSize)
	}
	s.SeqLo = binary.LittleEndian.Uint32(b[0:])
	s.Result = binary.LittleEndian.Uint32(b[4:])
	return nil
}

// Put writes the struct into the first KillResultSize bytes of b.
func (s *KillResult) Put(b []byte) {
	_ = b[KillResultSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.SeqLo)
	binary.LittleEndian.PutUint32(b[4:], s.Result)
}

// Encode returns the struct's bytes.
func (s *KillResult) Encode() []byte {
	b := make([]byte, KillResultSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_kill_acks.
const (
	KillAcksSize           = 65664
	KillAcksPostAckOff     = 0
	KillAcksResultOff      = 64
	KillAcksAcceptedSeqOff = 65600
)
