// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_cbox_table.
const (
	CboxTableSize     = 8
	CboxTableOffOff   = 0
	CboxTableCountOff = 4
	CboxTableSizeOff  = 6
)

// CboxTable is struct bd_cbox_table.
type CboxTable struct {
	Off   uint32
	Count uint16
	Size  uint16
}

// Decode copies the fields out of b, which holds at least CboxTableSize bytes.
func (s *CboxTable) Decode(b []byte) error {
	if len(b) < CboxTableSize {
		return short("bd_cbox_table", len(b), CboxTableSize)
	}
	s.Off = binary.LittleEndian.Uint32(b[0:])
	s.Count = binary.LittleEndian.Uint16(b[4:])
	s.Size = binary.LittleEndian.Uint16(b[6:])
	return nil
}

// Put writes the struct into the first CboxTableSize bytes of b.
func (s *CboxTable) Put(b []byte) {
	_ = b[CboxTableSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Off)
	binary.LittleEndian.PutUint16(b[4:], s.Count)
	binary.LittleEndian.PutUint16(b[6:], s.Size)
}

// Encode returns the struct's bytes.
func (s *CboxTable) Encode() []byte {
	b := make([]byte, CboxTableSize)
	s.Put(b)
	return b
}
