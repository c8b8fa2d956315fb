// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_cbox_addr.
const (
	CboxAddrSize      = 24
	CboxAddrFamilyOff = 0
	CboxAddrPortOff   = 2
	CboxAddrScopeOff  = 4
	CboxAddrAddrOff   = 8
)

// CboxAddr is struct bd_cbox_addr.
type CboxAddr struct {
	Family uint16
	Port   uint16
	Scope  uint32
	Addr   [16]uint8
}

// Decode copies the fields out of b, which holds at least CboxAddrSize bytes.
func (s *CboxAddr) Decode(b []byte) error {
	if len(b) < CboxAddrSize {
		return short("bd_cbox_addr", len(b), CboxAddrSize)
	}
	s.Family = binary.LittleEndian.Uint16(b[0:])
	s.Port = binary.LittleEndian.Uint16(b[2:])
	s.Scope = binary.LittleEndian.Uint32(b[4:])
	copy(s.Addr[:], b[8:])
	return nil
}

// Put writes the struct into the first CboxAddrSize bytes of b.
func (s *CboxAddr) Put(b []byte) {
	_ = b[CboxAddrSize-1]
	binary.LittleEndian.PutUint16(b[0:], s.Family)
	binary.LittleEndian.PutUint16(b[2:], s.Port)
	binary.LittleEndian.PutUint32(b[4:], s.Scope)
	copy(b[8:8+16], s.Addr[:])
}

// Encode returns the struct's bytes.
func (s *CboxAddr) Encode() []byte {
	b := make([]byte, CboxAddrSize)
	s.Put(b)
	return b
}
