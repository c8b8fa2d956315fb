// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_foreign.
const (
	ForeignSize     = 56
	ForeignNameOff  = 0
	ForeignAddrOff  = 40
	ForeignSizeOff  = 48
	ForeignFlagsOff = 52
)

// Foreign is struct bd_foreign.
type Foreign struct {
	Name  [40]byte
	Addr  uint64
	Size  uint32
	Flags uint32
}

// Decode copies the fields out of b, which holds at least ForeignSize bytes.
func (s *Foreign) Decode(b []byte) error {
	if len(b) < ForeignSize {
		return short("bd_foreign", len(b), ForeignSize)
	}
	copy(s.Name[:], b[0:])
	s.Addr = binary.LittleEndian.Uint64(b[40:])
	s.Size = binary.LittleEndian.Uint32(b[48:])
	s.Flags = binary.LittleEndian.Uint32(b[52:])
	return nil
}

// Put writes the struct into the first ForeignSize bytes of b.
func (s *Foreign) Put(b []byte) {
	_ = b[ForeignSize-1]
	copy(b[0:0+40], s.Name[:])
	binary.LittleEndian.PutUint64(b[40:], s.Addr)
	binary.LittleEndian.PutUint32(b[48:], s.Size)
	binary.LittleEndian.PutUint32(b[52:], s.Flags)
}

// Encode returns the struct's bytes.
func (s *Foreign) Encode() []byte {
	b := make([]byte, ForeignSize)
	s.Put(b)
	return b
}
