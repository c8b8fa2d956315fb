// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_cbox_act.
const (
	CboxActSize        = 48
	CboxActNumberOff   = 0
	CboxActKindOff     = 4
	CboxActLenOff      = 6
	CboxActLevelOff    = 8
	CboxActNameOff     = 12
	CboxActPosOff      = 16
	CboxActValueOff    = 24
	CboxActCRCOff      = 40
	CboxActReservedOff = 44
)

// CboxAct is struct bd_cbox_act.
type CboxAct struct {
	Number   uint32
	Kind     uint16
	Len      uint16
	Level    int32
	Name     int32
	Pos      uint64
	Value    [16]uint8
	CRC      uint32
	Reserved uint32
}

// Decode copies the fields out of b, which holds at least CboxActSize bytes.
func (s *CboxAct) Decode(b []byte) error {
	if len(b) < CboxActSize {
		return short("bd_cbox_act", len(b), CboxActSize)
	}
	s.Number = binary.LittleEndian.Uint32(b[0:])
	s.Kind = binary.LittleEndian.Uint16(b[4:])
	s.Len = binary.LittleEndian.Uint16(b[6:])
	s.Level = int32(binary.LittleEndian.Uint32(b[8:]))
	s.Name = int32(binary.LittleEndian.Uint32(b[12:]))
	s.Pos = binary.LittleEndian.Uint64(b[16:])
	copy(s.Value[:], b[24:])
	s.CRC = binary.LittleEndian.Uint32(b[40:])
	s.Reserved = binary.LittleEndian.Uint32(b[44:])
	return nil
}

// Put writes the struct into the first CboxActSize bytes of b.
func (s *CboxAct) Put(b []byte) {
	_ = b[CboxActSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Number)
	binary.LittleEndian.PutUint16(b[4:], s.Kind)
	binary.LittleEndian.PutUint16(b[6:], s.Len)
	binary.LittleEndian.PutUint32(b[8:], uint32(s.Level))
	binary.LittleEndian.PutUint32(b[12:], uint32(s.Name))
	binary.LittleEndian.PutUint64(b[16:], s.Pos)
	copy(b[24:24+16], s.Value[:])
	binary.LittleEndian.PutUint32(b[40:], s.CRC)
	binary.LittleEndian.PutUint32(b[44:], s.Reserved)
}

// Encode returns the struct's bytes.
func (s *CboxAct) Encode() []byte {
	b := make([]byte, CboxActSize)
	s.Put(b)
	return b
}
