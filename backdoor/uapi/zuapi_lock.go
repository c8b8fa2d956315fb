// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// enum bd_lock_want
const (
	WantFree = 0
	WantLock = 1
)

// LockWantName names a value of enum bd_lock_want.
func LockWantName(v uint32) string {
	switch v {
	case WantFree:
		return "free"
	case WantLock:
		return "lock"
	}
	return unknown(v)
}

// enum bd_lock_state
const (
	LockFree     = 0
	LockStopping = 1
	LockHeld     = 2
	LockFenced   = 4
)

// LockStateName names a value of enum bd_lock_state.
func LockStateName(v uint32) string {
	switch v {
	case LockFree:
		return "free"
	case LockStopping:
		return "stopping"
	case LockHeld:
		return "held"
	case LockFenced:
		return "fenced"
	}
	return unknown(v)
}

// enum bd_lock_refusal
const (
	RefuseNone       = 0
	RefuseTag        = 1
	RefuseSeq        = 2
	RefuseBusy       = 3
	RefuseLease      = 4
	RefuseNoKey      = 5
	RefuseFenced     = 6
	RefuseNotAllowed = 7
)

// LockRefusalName names a value of enum bd_lock_refusal.
func LockRefusalName(v uint32) string {
	switch v {
	case RefuseNone:
		return "none"
	case RefuseTag:
		return "tag"
	case RefuseSeq:
		return "seq"
	case RefuseBusy:
		return "busy"
	case RefuseLease:
		return "lease"
	case RefuseNoKey:
		return "nokey"
	case RefuseFenced:
		return "fenced"
	case RefuseNotAllowed:
		return "notallowed"
	}
	return unknown(v)
}

// Size and offsets of struct bd_lock_req.
const (
	LockReqSize        = 64
	LockReqWantOff     = 0
	LockReqEpochOff    = 4
	LockReqLeaseMsOff  = 8
	LockReqDrainMsOff  = 12
	LockReqFlagsOff    = 16
	LockReqMonitorOff  = 20
	LockReqSeqOff      = 24
	LockReqTagOff      = 32
	LockReqCommitOff   = 40
	LockReqReservedOff = 44
)

// LockReq is struct bd_lock_req.
type LockReq struct {
	Want     uint32
	Epoch    uint32
	LeaseMs  uint32
	DrainMs  uint32
	Flags    uint32
	Monitor  uint32
	Seq      uint64
	Tag      uint64
	Commit   uint32
	Reserved [5]uint32
}

// Decode copies the fields out of b, which holds at least LockReqSize bytes.
func (s *LockReq) Decode(b []byte) error {
	if len(b) < LockReqSize {
		return short("bd_lock_req", len(b), LockReqSize)
	}
	s.Want = binary.LittleEndian.Uint32(b[0:])
	s.Epoch = binary.LittleEndian.Uint32(b[4:])
	s.LeaseMs = binary.LittleEndian.Uint32(b[8:])
	s.DrainMs = binary.LittleEndian.Uint32(b[12:])
	s.Flags = binary.LittleEndian.Uint32(b[16:])
	s.Monitor = binary.LittleEndian.Uint32(b[20:])
	s.Seq = binary.LittleEndian.Uint64(b[24:])
	s.Tag = binary.LittleEndian.Uint64(b[32:])
	s.Commit = binary.LittleEndian.Uint32(b[40:])
	for i := range s.Reserved {
		s.Reserved[i] = binary.LittleEndian.Uint32(b[44+i*4:])
	}
	return nil
}

// Put writes the struct into the first LockReqSize bytes of b.
func (s *LockReq) Put(b []byte) {
	_ = b[LockReqSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Want)
	binary.LittleEndian.PutUint32(b[4:], s.Epoch)
	binary.LittleEndian.PutUint32(b[8:], s.LeaseMs)
	binary.LittleEndian.PutUint32(b[12:], s.DrainMs)
	binary.LittleEndian.PutUint32(b[16:], s.Flags)
	binary.LittleEndian.PutUint32(b[20:], s.Monitor)
	binary.LittleEndian.PutUint64(b[24:], s.Seq)
	binary.LittleEndian.PutUint64(b[32:], s.Tag)
	binary.LittleEndian.PutUint32(b[40:], s.Commit)
	for i := range s.Reserved {
		binary.LittleEndian.PutUint32(b[44+i*4:], s.Reserved[i])
	}
}

// Encode returns the struct's bytes.
func (s *LockReq) Encode() []byte {
	b := make([]byte, LockReqSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_lock_reqs.
const (
	LockReqsSize    = 512
	LockReqsSlotOff = 0
)

// LockReqs is struct bd_lock_reqs.
type LockReqs struct {
	Slot [8]LockReq
}

// Decode copies the fields out of b, which holds at least LockReqsSize bytes.
func (s *LockReqs) Decode(b []byte) error {
	if len(b) < LockReqsSize {
		return short("bd_lock_reqs", len(b), LockReqsSize)
	}
	for i := range s.Slot {
		_ = s.Slot[i].Decode(b[0+i*64:])
	}
	return nil
}

// Put writes the struct into the first LockReqsSize bytes of b.
func (s *LockReqs) Put(b []byte) {
	_ = b[LockReqsSize-1]
	for i := range s.Slot {
		s.Slot[i].Put(b[0+i*64:])
	}
}

// Encode returns the struct's bytes.
func (s *LockReqs) Encode() []byte {
	b := make([]byte, LockReqsSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_lock_cpu.
const (
	LockCPUSize        = 8
	LockCPUWhereOff    = 0
	LockCPUDrainedOff  = 1
	LockCPUReservedOff = 2
	LockCPUEpochLoOff  = 4
)

// LockCPU is struct bd_lock_cpu.
type LockCPU struct {
	Where    uint8
	Drained  uint8
	Reserved uint16
	EpochLo  uint32
}

// Decode copies the fields out of b, which holds at least LockCPUSize bytes.
func (s *LockCPU) Decode(b []byte) error {
	if len(b) < LockCPUSize {
		return short("bd_lock_cpu", len(b), LockCPUSize)
	}
	s.Where = b[0]
	s.Drained = b[1]
	s.Reserved = binary.LittleEndian.Uint16(b[2:])
	s.EpochLo = binary.LittleEndian.Uint32(b[4:])
	return nil
}

// Put writes the struct into the first LockCPUSize bytes of b.
func (s *LockCPU) Put(b []byte) {
	_ = b[LockCPUSize-1]
	b[0] = s.Where
	b[1] = s.Drained
	binary.LittleEndian.PutUint16(b[2:], s.Reserved)
	binary.LittleEndian.PutUint32(b[4:], s.EpochLo)
}

// Encode returns the struct's bytes.
func (s *LockCPU) Encode() []byte {
	b := make([]byte, LockCPUSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_lock_ack.
const (
	LockAckSize           = 2408
	LockAckMagicOff       = 0
	LockAckSeqOff         = 8
	LockAckStateOff       = 12
	LockAckHolderOff      = 16
	LockAckEpochOff       = 20
	LockAckDrainedOff     = 24
	LockAckNCPUsOff       = 28
	LockAckGrantsOff      = 32
	LockAckExpiredOff     = 40
	LockAckSinceNsOff     = 48
	LockAckLeaseEndNsOff  = 56
	LockAckNowNsOff       = 64
	LockAckParkedOff      = 72
	LockAckIPIOff         = 104
	LockAckNMIOff         = 136
	LockAckFreeOff        = 168
	LockAckRefusalOff     = 200
	LockAckRefusedSeqOff  = 232
	LockAckAcceptedSeqOff = 296
	LockAckCPUOff         = 360
)

// LockAck is struct bd_lock_ack.
type LockAck struct {
	Magic       uint64
	Seq         uint32
	State       uint32
	Holder      uint32
	Epoch       uint32
	Drained     uint32
	NCPUs       uint32
	Grants      uint64
	Expired     uint64
	SinceNs     uint64
	LeaseEndNs  uint64
	NowNs       uint64
	Parked      [4]uint64
	IPI         [4]uint64
	NMI         [4]uint64
	Free        [4]uint64
	Refusal     [8]uint32
	RefusedSeq  [8]uint64
	AcceptedSeq [8]uint64
	CPU         [256]LockCPU
}

// Decode copies the fields out of b, which holds at least LockAckSize bytes.
func (s *LockAck) Decode(b []byte) error {
	if len(b) < LockAckSize {
		return short("bd_lock_ack", len(b), LockAckSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Seq = binary.LittleEndian.Uint32(b[8:])
	s.State = binary.LittleEndian.Uint32(b[12:])
	s.Holder = binary.LittleEndian.Uint32(b[16:])
	s.Epoch = binary.LittleEndian.Uint32(b[20:])
	s.Drained = binary.LittleEndian.Uint32(b[24:])
	s.NCPUs = binary.LittleEndian.Uint32(b[28:])
	s.Grants = binary.LittleEndian.Uint64(b[32:])
	s.Expired = binary.LittleEndian.Uint64(b[40:])
	s.SinceNs = binary.LittleEndian.Uint64(b[48:])
	s.LeaseEndNs = binary.LittleEndian.Uint64(b[56:])
	s.NowNs = binary.LittleEndian.Uint64(b[64:])
	for i := range s.Parked {
		s.Parked[i] = binary.LittleEndian.Uint64(b[72+i*8:])
	}
	for i := range s.IPI {
		s.IPI[i] = binary.LittleEndian.Uint64(b[104+i*8:])
	}
	for i := range s.NMI {
		s.NMI[i] = binary.LittleEndian.Uint64(b[136+i*8:])
	}
	for i := range s.Free {
		s.Free[i] = binary.LittleEndian.Uint64(b[168+i*8:])
	}
	for i := range s.Refusal {
		s.Refusal[i] = binary.LittleEndian.Uint32(b[200+i*4:])
	}
	for i := range s.RefusedSeq {
		s.RefusedSeq[i] = binary.LittleEndian.Uint64(b[232+i*8:])
	}
	for i := range s.AcceptedSeq {
		s.AcceptedSeq[i] = binary.LittleEndian.Uint64(b[296+i*8:])
	}
	for i := range s.CPU {
		_ = s.CPU[i].Decode(b[360+i*8:])
	}
	return nil
}

// Put writes the struct into the first LockAckSize bytes of b.
func (s *LockAck) Put(b []byte) {
	_ = b[LockAckSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint32(b[8:], s.Seq)
	binary.LittleEndian.PutUint32(b[12:], s.State)
	binary.LittleEndian.PutUint32(b[16:], s.Holder)
	binary.LittleEndian.PutUint32(b[20:], s.Epoch)
	binary.LittleEndian.PutUint32(b[24:], s.Drained)
	binary.LittleEndian.PutUint32(b[28:], s.NCPUs)
	binary.LittleEndian.PutUint64(b[32:], s.Grants)
	binary.LittleEndian.PutUint64(b[40:], s.Expired)
	binary.LittleEndian.PutUint64(b[48:], s.SinceNs)
	binary.LittleEndian.PutUint64(b[56:], s.LeaseEndNs)
	binary.LittleEndian.PutUint64(b[64:], s.NowNs)
	for i := range s.Parked {
		binary.LittleEndian.PutUint64(b[72+i*8:], s.Parked[i])
	}
	for i := range s.IPI {
		binary.LittleEndian.PutUint64(b[104+i*8:], s.IPI[i])
	}
	for i := range s.NMI {
		binary.LittleEndian.PutUint64(b[136+i*8:], s.NMI[i])
	}
	for i := range s.Free {
		binary.LittleEndian.PutUint64(b[168+i*8:], s.Free[i])
	}
	for i := range s.Refusal {
		binary.LittleEndian.PutUint32(b[200+i*4:], s.Refusal[i])
	}
	for i := range s.RefusedSeq {
		binary.LittleEndian.PutUint64(b[232+i*8:], s.RefusedSeq[i])
	}
	for i := range s.AcceptedSeq {
		binary.LittleEndian.PutUint64(b[296+i*8:], s.AcceptedSeq[i])
	}
	for i := range s.CPU {
		s.CPU[i].Put(b[360+i*8:])
	}
}

// Encode returns the struct's bytes.
func (s *LockAck) Encode() []byte {
	b := make([]byte, LockAckSize)
	s.Put(b)
	return b
}
