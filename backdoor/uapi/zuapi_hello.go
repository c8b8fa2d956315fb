// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_hello.
const (
	HelloSize        = 56
	HelloMagicOff    = 0
	HelloMajorOff    = 4
	HelloMinorOff    = 6
	HelloMonitorOff  = 8
	HelloFlagsOff    = 12
	HelloJoinOff     = 16
	HelloReservedOff = 20
	HelloBootIDOff   = 24
	HelloCounterOff  = 40
	HelloTagOff      = 48
)

// Hello is struct bd_hello.
type Hello struct {
	Magic    uint32
	Major    uint16
	Minor    uint16
	Monitor  uint32
	Flags    uint32
	Join     uint32
	Reserved uint32
	BootID   [16]uint8
	Counter  uint64
	Tag      uint64
}

// Decode copies the fields out of b, which holds at least HelloSize bytes.
func (s *Hello) Decode(b []byte) error {
	if len(b) < HelloSize {
		return short("bd_hello", len(b), HelloSize)
	}
	s.Magic = binary.LittleEndian.Uint32(b[0:])
	s.Major = binary.LittleEndian.Uint16(b[4:])
	s.Minor = binary.LittleEndian.Uint16(b[6:])
	s.Monitor = binary.LittleEndian.Uint32(b[8:])
	s.Flags = binary.LittleEndian.Uint32(b[12:])
	s.Join = binary.LittleEndian.Uint32(b[16:])
	s.Reserved = binary.LittleEndian.Uint32(b[20:])
	copy(s.BootID[:], b[24:])
	s.Counter = binary.LittleEndian.Uint64(b[40:])
	s.Tag = binary.LittleEndian.Uint64(b[48:])
	return nil
}

// Put writes the struct into the first HelloSize bytes of b.
func (s *Hello) Put(b []byte) {
	_ = b[HelloSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Magic)
	binary.LittleEndian.PutUint16(b[4:], s.Major)
	binary.LittleEndian.PutUint16(b[6:], s.Minor)
	binary.LittleEndian.PutUint32(b[8:], s.Monitor)
	binary.LittleEndian.PutUint32(b[12:], s.Flags)
	binary.LittleEndian.PutUint32(b[16:], s.Join)
	binary.LittleEndian.PutUint32(b[20:], s.Reserved)
	copy(b[24:24+16], s.BootID[:])
	binary.LittleEndian.PutUint64(b[40:], s.Counter)
	binary.LittleEndian.PutUint64(b[48:], s.Tag)
}

// Encode returns the struct's bytes.
func (s *Hello) Encode() []byte {
	b := make([]byte, HelloSize)
	s.Put(b)
	return b
}
