// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_cbox_pass.
const (
	CboxPassSize          = 56
	CboxPassMagicOff      = 0
	CboxPassOffsetOff     = 8
	CboxPassLengthOff     = 16
	CboxPassSessionOff    = 24
	CboxPassGenerationOff = 40
	CboxPassSlotOff       = 48
	CboxPassFlagsOff      = 52
)

// CboxPass is struct bd_cbox_pass.
type CboxPass struct {
	Magic      uint64
	Offset     uint64
	Length     uint64
	Session    [16]uint8
	Generation uint64
	Slot       uint32
	Flags      uint32
}

// Decode copies the fields out of b, which holds at least CboxPassSize bytes.
func (s *CboxPass) Decode(b []byte) error {
	if len(b) < CboxPassSize {
		return short("bd_cbox_pass", len(b), CboxPassSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Offset = binary.LittleEndian.Uint64(b[8:])
	s.Length = binary.LittleEndian.Uint64(b[16:])
	copy(s.Session[:], b[24:])
	s.Generation = binary.LittleEndian.Uint64(b[40:])
	s.Slot = binary.LittleEndian.Uint32(b[48:])
	s.Flags = binary.LittleEndian.Uint32(b[52:])
	return nil
}

// Put writes the struct into the first CboxPassSize bytes of b.
func (s *CboxPass) Put(b []byte) {
	_ = b[CboxPassSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint64(b[8:], s.Offset)
	binary.LittleEndian.PutUint64(b[16:], s.Length)
	copy(b[24:24+16], s.Session[:])
	binary.LittleEndian.PutUint64(b[40:], s.Generation)
	binary.LittleEndian.PutUint32(b[48:], s.Slot)
	binary.LittleEndian.PutUint32(b[52:], s.Flags)
}

// Encode returns the struct's bytes.
func (s *CboxPass) Encode() []byte {
	b := make([]byte, CboxPassSize)
	s.Put(b)
	return b
}
