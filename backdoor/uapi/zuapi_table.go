// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_table.
const (
	TableSize          = 3744
	TableMagicOff      = 0
	TableCountOff      = 8
	TableEntrySizeOff  = 12
	TableGenerationOff = 16
	TableBootIDOff     = 24
	TableReservedOff   = 40
	TableRegionsOff    = 48
)

// Table is struct bd_table.
type Table struct {
	Magic      uint64
	Count      uint32
	EntrySize  uint32
	Generation uint64
	BootID     [16]uint8
	Reserved   uint64
	Regions    [42]Region
}

// Decode copies the fields out of b, which holds at least TableSize bytes.
func (s *Table) Decode(b []byte) error {
	if len(b) < TableSize {
		return short("bd_table", len(b), TableSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Count = binary.LittleEndian.Uint32(b[8:])
	s.EntrySize = binary.LittleEndian.Uint32(b[12:])
	s.Generation = binary.LittleEndian.Uint64(b[16:])
	copy(s.BootID[:], b[24:])
	s.Reserved = binary.LittleEndian.Uint64(b[40:])
	for i := range s.Regions {
		_ = s.Regions[i].Decode(b[48+i*88:])
	}
	return nil
}

// Put writes the struct into the first TableSize bytes of b.
func (s *Table) Put(b []byte) {
	_ = b[TableSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint32(b[8:], s.Count)
	binary.LittleEndian.PutUint32(b[12:], s.EntrySize)
	binary.LittleEndian.PutUint64(b[16:], s.Generation)
	copy(b[24:24+16], s.BootID[:])
	binary.LittleEndian.PutUint64(b[40:], s.Reserved)
	for i := range s.Regions {
		s.Regions[i].Put(b[48+i*88:])
	}
}

// Encode returns the struct's bytes.
func (s *Table) Encode() []byte {
	b := make([]byte, TableSize)
	s.Put(b)
	return b
}
