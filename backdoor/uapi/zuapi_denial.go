// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// enum bd_denial_reason
const (
	DenyMalformed = 1
	DenyVersion   = 2
	DenyBootID    = 3
	DenyNoKey     = 4
	DenyTag       = 5
	DenyCounter   = 6
	DenyFull      = 7
	DenyJoin      = 8
	DenyPolicy    = 9
	DenyClosed    = 10
)

// DenialReasonName names a value of enum bd_denial_reason.
func DenialReasonName(v uint32) string {
	switch v {
	case DenyMalformed:
		return "malformed"
	case DenyVersion:
		return "version"
	case DenyBootID:
		return "bootid"
	case DenyNoKey:
		return "nokey"
	case DenyTag:
		return "tag"
	case DenyCounter:
		return "counter"
	case DenyFull:
		return "full"
	case DenyJoin:
		return "join"
	case DenyPolicy:
		return "policy"
	case DenyClosed:
		return "closed"
	}
	return unknown(v)
}

// Size and offsets of struct bd_denial.
const (
	DenialSize       = 56
	DenialMagicOff   = 0
	DenialMajorOff   = 4
	DenialMinorOff   = 6
	DenialReasonOff  = 8
	DenialMonitorOff = 12
	DenialBootIDOff  = 16
	DenialCounterOff = 32
	DenialHighestOff = 40
	DenialTagOff     = 48
)

// Denial is struct bd_denial.
type Denial struct {
	Magic   uint32
	Major   uint16
	Minor   uint16
	Reason  uint32
	Monitor uint32
	BootID  [16]uint8
	Counter uint64
	Highest uint64
	Tag     uint64
}

// Decode copies the fields out of b, which holds at least DenialSize bytes.
func (s *Denial) Decode(b []byte) error {
	if len(b) < DenialSize {
		return short("bd_denial", len(b), DenialSize)
	}
	s.Magic = binary.LittleEndian.Uint32(b[0:])
	s.Major = binary.LittleEndian.Uint16(b[4:])
	s.Minor = binary.LittleEndian.Uint16(b[6:])
	s.Reason = binary.LittleEndian.Uint32(b[8:])
	s.Monitor = binary.LittleEndian.Uint32(b[12:])
	copy(s.BootID[:], b[16:])
	s.Counter = binary.LittleEndian.Uint64(b[32:])
	s.Highest = binary.LittleEndian.Uint64(b[40:])
	s.Tag = binary.LittleEndian.Uint64(b[48:])
	return nil
}

// Put writes the struct into the first DenialSize bytes of b.
func (s *Denial) Put(b []byte) {
	_ = b[DenialSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Magic)
	binary.LittleEndian.PutUint16(b[4:], s.Major)
	binary.LittleEndian.PutUint16(b[6:], s.Minor)
	binary.LittleEndian.PutUint32(b[8:], s.Reason)
	binary.LittleEndian.PutUint32(b[12:], s.Monitor)
	copy(b[16:16+16], s.BootID[:])
	binary.LittleEndian.PutUint64(b[32:], s.Counter)
	binary.LittleEndian.PutUint64(b[40:], s.Highest)
	binary.LittleEndian.PutUint64(b[48:], s.Tag)
}

// Encode returns the struct's bytes.
func (s *Denial) Encode() []byte {
	b := make([]byte, DenialSize)
	s.Put(b)
	return b
}
