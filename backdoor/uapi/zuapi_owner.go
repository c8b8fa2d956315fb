// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// enum bd_owner_want
const (
	OwnerGive = 0
	OwnerTake = 1
)

// OwnerWantName names a value of enum bd_owner_want.
func OwnerWantName(v uint32) string {
	switch v {
	case OwnerGive:
		return "give"
	case OwnerTake:
		return "take"
	}
	return unknown(v)
}

// enum bd_owner_refusal
const (
	OwnNone       = 0
	OwnTag        = 1
	OwnSeq        = 2
	OwnNoKey      = 3
	OwnHeld       = 4
	OwnEpoch      = 5
	OwnLease      = 6
	OwnNotAllowed = 7
)

// OwnerRefusalName names a value of enum bd_owner_refusal.
func OwnerRefusalName(v uint32) string {
	switch v {
	case OwnNone:
		return "none"
	case OwnTag:
		return "tag"
	case OwnSeq:
		return "seq"
	case OwnNoKey:
		return "nokey"
	case OwnHeld:
		return "held"
	case OwnEpoch:
		return "epoch"
	case OwnLease:
		return "lease"
	case OwnNotAllowed:
		return "notallowed"
	}
	return unknown(v)
}

// Size and offsets of struct bd_owner_req.
const (
	OwnerReqSize        = 64
	OwnerReqWantOff     = 0
	OwnerReqEpochOff    = 4
	OwnerReqLeaseMsOff  = 8
	OwnerReqMonitorOff  = 12
	OwnerReqSeqOff      = 16
	OwnerReqTagOff      = 24
	OwnerReqCommitOff   = 32
	OwnerReqReservedOff = 36
)

// OwnerReq is struct bd_owner_req.
type OwnerReq struct {
	Want     uint32
	Epoch    uint32
	LeaseMs  uint32
	Monitor  uint32
	Seq      uint64
	Tag      uint64
	Commit   uint32
	Reserved [7]uint32
}

// Decode copies the fields out of b, which holds at least OwnerReqSize bytes.
func (s *OwnerReq) Decode(b []byte) error {
	if len(b) < OwnerReqSize {
		return short("bd_owner_req", len(b), OwnerReqSize)
	}
	s.Want = binary.LittleEndian.Uint32(b[0:])
	s.Epoch = binary.LittleEndian.Uint32(b[4:])
	s.LeaseMs = binary.LittleEndian.Uint32(b[8:])
	s.Monitor = binary.LittleEndian.Uint32(b[12:])
	s.Seq = binary.LittleEndian.Uint64(b[16:])
	s.Tag = binary.LittleEndian.Uint64(b[24:])
	s.Commit = binary.LittleEndian.Uint32(b[32:])
	for i := range s.Reserved {
		s.Reserved[i] = binary.LittleEndian.Uint32(b[36+i*4:])
	}
	return nil
}

// Put writes the struct into the first OwnerReqSize bytes of b.
func (s *OwnerReq) Put(b []byte) {
	_ = b[OwnerReqSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Want)
	binary.LittleEndian.PutUint32(b[4:], s.Epoch)
	binary.LittleEndian.PutUint32(b[8:], s.LeaseMs)
	binary.LittleEndian.PutUint32(b[12:], s.Monitor)
	binary.LittleEndian.PutUint64(b[16:], s.Seq)
	binary.LittleEndian.PutUint64(b[24:], s.Tag)
	binary.LittleEndian.PutUint32(b[32:], s.Commit)
	for i := range s.Reserved {
		binary.LittleEndian.PutUint32(b[36+i*4:], s.Reserved[i])
	}
}

// Encode returns the struct's bytes.
func (s *OwnerReq) Encode() []byte {
	b := make([]byte, OwnerReqSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_owner_reqs.
const (
	OwnerReqsSize    = 512
	OwnerReqsSlotOff = 0
)

// OwnerReqs is struct bd_owner_reqs.
type OwnerReqs struct {
	Slot [8]OwnerReq
}

// Decode copies the fields out of b, which holds at least OwnerReqsSize bytes.
func (s *OwnerReqs) Decode(b []byte) error {
	if len(b) < OwnerReqsSize {
		return short("bd_owner_reqs", len(b), OwnerReqsSize)
	}
	for i := range s.Slot {
		_ = s.Slot[i].Decode(b[0+i*64:])
	}
	return nil
}

// Put writes the struct into the first OwnerReqsSize bytes of b.
func (s *OwnerReqs) Put(b []byte) {
	_ = b[OwnerReqsSize-1]
	for i := range s.Slot {
		s.Slot[i].Put(b[0+i*64:])
	}
}

// Encode returns the struct's bytes.
func (s *OwnerReqs) Encode() []byte {
	b := make([]byte, OwnerReqsSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_owner_ack.
const (
	OwnerAckSize           = 216
	OwnerAckMagicOff       = 0
	OwnerAckSeqOff         = 8
	OwnerAckOwnerOff       = 12
	OwnerAckEpochOff       = 16
	OwnerAckReservedOff    = 20
	OwnerAckLeaseEndNsOff  = 24
	OwnerAckSinceNsOff     = 32
	OwnerAckNowNsOff       = 40
	OwnerAckChangesOff     = 48
	OwnerAckRefusalOff     = 56
	OwnerAckRefusedSeqOff  = 88
	OwnerAckAcceptedSeqOff = 152
)

// OwnerAck is struct bd_owner_ack.
type OwnerAck struct {
	Magic       uint64
	Seq         uint32
	Owner       uint32
	Epoch       uint32
	Reserved    uint32
	LeaseEndNs  uint64
	SinceNs     uint64
	NowNs       uint64
	Changes     uint64
	Refusal     [8]uint32
	RefusedSeq  [8]uint64
	AcceptedSeq [8]uint64
}

// Decode copies the fields out of b, which holds at least OwnerAckSize bytes.
func (s *OwnerAck) Decode(b []byte) error {
	if len(b) < OwnerAckSize {
		return short("bd_owner_ack", len(b), OwnerAckSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Seq = binary.LittleEndian.Uint32(b[8:])
	s.Owner = binary.LittleEndian.Uint32(b[12:])
	s.Epoch = binary.LittleEndian.Uint32(b[16:])
	s.Reserved = binary.LittleEndian.Uint32(b[20:])
	s.LeaseEndNs = binary.LittleEndian.Uint64(b[24:])
	s.SinceNs = binary.LittleEndian.Uint64(b[32:])
	s.NowNs = binary.LittleEndian.Uint64(b[40:])
	s.Changes = binary.LittleEndian.Uint64(b[48:])
	for i := range s.Refusal {
		s.Refusal[i] = binary.LittleEndian.Uint32(b[56+i*4:])
	}
	for i := range s.RefusedSeq {
		s.RefusedSeq[i] = binary.LittleEndian.Uint64(b[88+i*8:])
	}
	for i := range s.AcceptedSeq {
		s.AcceptedSeq[i] = binary.LittleEndian.Uint64(b[152+i*8:])
	}
	return nil
}

// Put writes the struct into the first OwnerAckSize bytes of b.
func (s *OwnerAck) Put(b []byte) {
	_ = b[OwnerAckSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint32(b[8:], s.Seq)
	binary.LittleEndian.PutUint32(b[12:], s.Owner)
	binary.LittleEndian.PutUint32(b[16:], s.Epoch)
	binary.LittleEndian.PutUint32(b[20:], s.Reserved)
	binary.LittleEndian.PutUint64(b[24:], s.LeaseEndNs)
	binary.LittleEndian.PutUint64(b[32:], s.SinceNs)
	binary.LittleEndian.PutUint64(b[40:], s.NowNs)
	binary.LittleEndian.PutUint64(b[48:], s.Changes)
	for i := range s.Refusal {
		binary.LittleEndian.PutUint32(b[56+i*4:], s.Refusal[i])
	}
	for i := range s.RefusedSeq {
		binary.LittleEndian.PutUint64(b[88+i*8:], s.RefusedSeq[i])
	}
	for i := range s.AcceptedSeq {
		binary.LittleEndian.PutUint64(b[152+i*8:], s.AcceptedSeq[i])
	}
}

// Encode returns the struct's bytes.
func (s *OwnerAck) Encode() []byte {
	b := make([]byte, OwnerAckSize)
	s.Put(b)
	return b
}
