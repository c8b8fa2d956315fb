// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// enum bd_scd_kind
const (
	ScdHello    = 1
	ScdKeep     = 2
	ScdDone     = 3
	ScdHand     = 4
	ScdListen   = 5
	ScdListener = 6
)

// ScdKindName names a value of enum bd_scd_kind.
func ScdKindName(v uint32) string {
	switch v {
	case ScdHello:
		return "hello"
	case ScdKeep:
		return "keep"
	case ScdDone:
		return "done"
	case ScdHand:
		return "hand"
	case ScdListen:
		return "listen"
	case ScdListener:
		return "listener"
	}
	return unknown(v)
}

// enum bd_scd_limit
const (
	ScdSessions  = 1
	ScdBytes     = 2
	ScdProcesses = 3
	ScdListeners = 4
	ScdBox       = 5
	ScdSlots     = 6
)

// ScdLimitName names a value of enum bd_scd_limit.
func ScdLimitName(v uint32) string {
	switch v {
	case ScdSessions:
		return "sessions"
	case ScdBytes:
		return "bytes"
	case ScdProcesses:
		return "processes"
	case ScdListeners:
		return "listeners"
	case ScdBox:
		return "box"
	case ScdSlots:
		return "slots"
	}
	return unknown(v)
}

// Size and offsets of struct bd_scd_request.
const (
	ScdRequestSize          = 88
	ScdRequestMagicOff      = 0
	ScdRequestKindOff       = 8
	ScdRequestSlotOff       = 12
	ScdRequestOffsetOff     = 16
	ScdRequestLengthOff     = 24
	ScdRequestGenerationOff = 32
	ScdRequestSessionOff    = 40
	ScdRequestNameOff       = 56
	ScdRequestPortOff       = 80
	ScdRequestReservedOff   = 84
)

// ScdRequest is struct bd_scd_request.
type ScdRequest struct {
	Magic      uint64
	Kind       uint32
	Slot       uint32
	Offset     uint64
	Length     uint64
	Generation uint64
	Session    [16]uint8
	Name       [24]byte
	Port       uint32
	Reserved   uint32
}

// Decode copies the fields out of b, which holds at least ScdRequestSize bytes.
func (s *ScdRequest) Decode(b []byte) error {
	if len(b) < ScdRequestSize {
		return short("bd_scd_request", len(b), ScdRequestSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Kind = binary.LittleEndian.Uint32(b[8:])
	s.Slot = binary.LittleEndian.Uint32(b[12:])
	s.Offset = binary.LittleEndian.Uint64(b[16:])
	s.Length = binary.LittleEndian.Uint64(b[24:])
	s.Generation = binary.LittleEndian.Uint64(b[32:])
	copy(s.Session[:], b[40:])
	copy(s.Name[:], b[56:])
	s.Port = binary.LittleEndian.Uint32(b[80:])
	s.Reserved = binary.LittleEndian.Uint32(b[84:])
	return nil
}

// Put writes the struct into the first ScdRequestSize bytes of b.
func (s *ScdRequest) Put(b []byte) {
	_ = b[ScdRequestSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint32(b[8:], s.Kind)
	binary.LittleEndian.PutUint32(b[12:], s.Slot)
	binary.LittleEndian.PutUint64(b[16:], s.Offset)
	binary.LittleEndian.PutUint64(b[24:], s.Length)
	binary.LittleEndian.PutUint64(b[32:], s.Generation)
	copy(b[40:40+16], s.Session[:])
	copy(b[56:56+24], s.Name[:])
	binary.LittleEndian.PutUint32(b[80:], s.Port)
	binary.LittleEndian.PutUint32(b[84:], s.Reserved)
}

// Encode returns the struct's bytes.
func (s *ScdRequest) Encode() []byte {
	b := make([]byte, ScdRequestSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_scd_answer.
const (
	ScdAnswerSize     = 32
	ScdAnswerMagicOff = 0
	ScdAnswerKindOff  = 8
	ScdAnswerErrorOff = 12
	ScdAnswerLimitOff = 16
	ScdAnswerUserOff  = 20
	ScdAnswerMostOff  = 24
)

// ScdAnswer is struct bd_scd_answer.
type ScdAnswer struct {
	Magic uint64
	Kind  uint32
	Error int32
	Limit uint32
	User  uint32
	Most  uint64
}

// Decode copies the fields out of b, which holds at least ScdAnswerSize bytes.
func (s *ScdAnswer) Decode(b []byte) error {
	if len(b) < ScdAnswerSize {
		return short("bd_scd_answer", len(b), ScdAnswerSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Kind = binary.LittleEndian.Uint32(b[8:])
	s.Error = int32(binary.LittleEndian.Uint32(b[12:]))
	s.Limit = binary.LittleEndian.Uint32(b[16:])
	s.User = binary.LittleEndian.Uint32(b[20:])
	s.Most = binary.LittleEndian.Uint64(b[24:])
	return nil
}

// Put writes the struct into the first ScdAnswerSize bytes of b.
func (s *ScdAnswer) Put(b []byte) {
	_ = b[ScdAnswerSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint32(b[8:], s.Kind)
	binary.LittleEndian.PutUint32(b[12:], uint32(s.Error))
	binary.LittleEndian.PutUint32(b[16:], s.Limit)
	binary.LittleEndian.PutUint32(b[20:], s.User)
	binary.LittleEndian.PutUint64(b[24:], s.Most)
}

// Encode returns the struct's bytes.
func (s *ScdAnswer) Encode() []byte {
	b := make([]byte, ScdAnswerSize)
	s.Put(b)
	return b
}
