// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_dsm_ring.
const (
	DsmRingSize             = 448
	DsmRingMagicOff         = 0
	DsmRingLocksOff         = 8
	DsmRingOpsOff           = 12
	DsmRingWordsAtOff       = 16
	DsmRingOpsAtOff         = 20
	DsmRingReserved0Off     = 24
	DsmRingGateOff          = 64
	DsmRingTakenOff         = 72
	DsmRingReserved1Off     = 76
	DsmRingCallOff          = 128
	DsmRingKindOff          = 132
	DsmRingArgOff           = 136
	DsmRingProgramSleepsOff = 160
	DsmRingReserved2Off     = 164
	DsmRingAnswerOff        = 192
	DsmRingErrorOff         = 196
	DsmRingFlagsOff         = 200
	DsmRingDsmdSleepsOff    = 204
	DsmRingWhyOff           = 208
)

// DsmRing is struct bd_dsm_ring.
type DsmRing struct {
	Magic         uint64
	Locks         uint32
	Ops           uint32
	WordsAt       uint32
	OpsAt         uint32
	Reserved0     [10]uint32
	Gate          uint64
	Taken         uint32
	Reserved1     [13]uint32
	Call          uint32
	Kind          uint32
	Arg           [3]uint64
	ProgramSleeps uint32
	Reserved2     [7]uint32
	Answer        uint32
	Error         uint32
	Flags         uint32
	DsmdSleeps    uint32
	Why           [240]byte
}

// Decode copies the fields out of b, which holds at least DsmRingSize bytes.
func (s *DsmRing) Decode(b []byte) error {
	if len(b) < DsmRingSize {
		return short("bd_dsm_ring", len(b), DsmRingSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Locks = binary.LittleEndian.Uint32(b[8:])
	s.Ops = binary.LittleEndian.Uint32(b[12:])
	s.WordsAt = binary.LittleEndian.Uint32(b[16:])
	s.OpsAt = binary.LittleEndian.Uint32(b[20:])
	for i := range s.Reserved0 {
		s.Reserved0[i] = binary.LittleEndian.Uint32(b[24+i*4:])
	}
	s.Gate = binary.LittleEndian.Uint64(b[64:])
	s.Taken = binary.LittleEndian.Uint32(b[72:])
	for i := range s.Reserved1 {
		s.Reserved1[i] = binary.LittleEndian.Uint32(b[76+i*4:])
	}
	s.Call = binary.LittleEndian.Uint32(b[128:])
	s.Kind = binary.LittleEndian.Uint32(b[132:])
	for i := range s.Arg {
		s.Arg[i] = binary.LittleEndian.Uint64(b[136+i*8:])
	}
	s.ProgramSleeps = binary.LittleEndian.Uint32(b[160:])
	for i := range s.Reserved2 {
		s.Reserved2[i] = binary.LittleEndian.Uint32(b[164+i*4:])
	}
	s.Answer = binary.LittleEndian.Uint32(b[192:])
	s.Error = binary.LittleEndian.Uint32(b[196:])
	s.Flags = binary.LittleEndian.Uint32(b[200:])
	s.DsmdSleeps = binary.LittleEndian.Uint32(b[204:])
	copy(s.Why[:], b[208:])
	return nil
}

// Put writes the struct into the first DsmRingSize bytes of b.
func (s *DsmRing) Put(b []byte) {
	_ = b[DsmRingSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint32(b[8:], s.Locks)
	binary.LittleEndian.PutUint32(b[12:], s.Ops)
	binary.LittleEndian.PutUint32(b[16:], s.WordsAt)
	binary.LittleEndian.PutUint32(b[20:], s.OpsAt)
	for i := range s.Reserved0 {
		binary.LittleEndian.PutUint32(b[24+i*4:], s.Reserved0[i])
	}
	binary.LittleEndian.PutUint64(b[64:], s.Gate)
	binary.LittleEndian.PutUint32(b[72:], s.Taken)
	for i := range s.Reserved1 {
		binary.LittleEndian.PutUint32(b[76+i*4:], s.Reserved1[i])
	}
	binary.LittleEndian.PutUint32(b[128:], s.Call)
	binary.LittleEndian.PutUint32(b[132:], s.Kind)
	for i := range s.Arg {
		binary.LittleEndian.PutUint64(b[136+i*8:], s.Arg[i])
	}
	binary.LittleEndian.PutUint32(b[160:], s.ProgramSleeps)
	for i := range s.Reserved2 {
		binary.LittleEndian.PutUint32(b[164+i*4:], s.Reserved2[i])
	}
	binary.LittleEndian.PutUint32(b[192:], s.Answer)
	binary.LittleEndian.PutUint32(b[196:], s.Error)
	binary.LittleEndian.PutUint32(b[200:], s.Flags)
	binary.LittleEndian.PutUint32(b[204:], s.DsmdSleeps)
	copy(b[208:208+240], s.Why[:])
}

// Encode returns the struct's bytes.
func (s *DsmRing) Encode() []byte {
	b := make([]byte, DsmRingSize)
	s.Put(b)
	return b
}
