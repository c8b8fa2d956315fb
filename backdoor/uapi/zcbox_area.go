// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_cbox_area.
const (
	CboxAreaSize   = 16
	CboxAreaOffOff = 0
	CboxAreaLenOff = 8
)

// CboxArea is struct bd_cbox_area.
type CboxArea struct {
	Off uint64
	Len uint64
}

// Decode copies the fields out of b, which holds at least CboxAreaSize bytes.
func (s *CboxArea) Decode(b []byte) error {
	if len(b) < CboxAreaSize {
		return short("bd_cbox_area", len(b), CboxAreaSize)
	}
	s.Off = binary.LittleEndian.Uint64(b[0:])
	s.Len = binary.LittleEndian.Uint64(b[8:])
	return nil
}

// Put writes the struct into the first CboxAreaSize bytes of b.
func (s *CboxArea) Put(b []byte) {
	_ = b[CboxAreaSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Off)
	binary.LittleEndian.PutUint64(b[8:], s.Len)
}

// Encode returns the struct's bytes.
func (s *CboxArea) Encode() []byte {
	b := make([]byte, CboxAreaSize)
	s.Put(b)
	return b
}
