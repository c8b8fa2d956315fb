// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_cbox_opt.
const (
	CboxOptSize     = 32
	CboxOptLevelOff = 0
	CboxOptNameOff  = 4
	CboxOptLenOff   = 8
	CboxOptUsedOff  = 10
	CboxOptValueOff = 12
	CboxOptCRCOff   = 28
)

// CboxOpt is struct bd_cbox_opt.
type CboxOpt struct {
	Level int32
	Name  int32
	Len   uint16
	Used  uint16
	Value [16]uint8
	CRC   uint32
}

// Decode copies the fields out of b, which holds at least CboxOptSize bytes.
func (s *CboxOpt) Decode(b []byte) error {
	if len(b) < CboxOptSize {
		return short("bd_cbox_opt", len(b), CboxOptSize)
	}
	s.Level = int32(binary.LittleEndian.Uint32(b[0:]))
	s.Name = int32(binary.LittleEndian.Uint32(b[4:]))
	s.Len = binary.LittleEndian.Uint16(b[8:])
	s.Used = binary.LittleEndian.Uint16(b[10:])
	copy(s.Value[:], b[12:])
	s.CRC = binary.LittleEndian.Uint32(b[28:])
	return nil
}

// Put writes the struct into the first CboxOptSize bytes of b.
func (s *CboxOpt) Put(b []byte) {
	_ = b[CboxOptSize-1]
	binary.LittleEndian.PutUint32(b[0:], uint32(s.Level))
	binary.LittleEndian.PutUint32(b[4:], uint32(s.Name))
	binary.LittleEndian.PutUint16(b[8:], s.Len)
	binary.LittleEndian.PutUint16(b[10:], s.Used)
	copy(b[12:12+16], s.Value[:])
	binary.LittleEndian.PutUint32(b[28:], s.CRC)
}

// Encode returns the struct's bytes.
func (s *CboxOpt) Encode() []byte {
	b := make([]byte, CboxOptSize)
	s.Put(b)
	return b
}
