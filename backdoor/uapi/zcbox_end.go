// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_cbox_end.
const (
	CboxEndSize     = 16
	CboxEndChanOff  = 0
	CboxEndFlagsOff = 4
	CboxEndPosOff   = 8
)

// CboxEnd is struct bd_cbox_end.
type CboxEnd struct {
	Chan  uint32
	Flags uint32
	Pos   uint64
}

// Decode copies the fields out of b, which holds at least CboxEndSize bytes.
func (s *CboxEnd) Decode(b []byte) error {
	if len(b) < CboxEndSize {
		return short("bd_cbox_end", len(b), CboxEndSize)
	}
	s.Chan = binary.LittleEndian.Uint32(b[0:])
	s.Flags = binary.LittleEndian.Uint32(b[4:])
	s.Pos = binary.LittleEndian.Uint64(b[8:])
	return nil
}

// Put writes the struct into the first CboxEndSize bytes of b.
func (s *CboxEnd) Put(b []byte) {
	_ = b[CboxEndSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Chan)
	binary.LittleEndian.PutUint32(b[4:], s.Flags)
	binary.LittleEndian.PutUint64(b[8:], s.Pos)
}

// Encode returns the struct's bytes.
func (s *CboxEnd) Encode() []byte {
	b := make([]byte, CboxEndSize)
	s.Put(b)
	return b
}
