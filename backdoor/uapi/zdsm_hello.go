// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_dsm_hello.
const (
	DsmHelloSize        = 16
	DsmHelloMagicOff    = 0
	DsmHelloThreadOff   = 8
	DsmHelloReservedOff = 12
)

// DsmHello is struct bd_dsm_hello.
type DsmHello struct {
	Magic    uint64
	Thread   uint32
	Reserved uint32
}

// Decode copies the fields out of b, which holds at least DsmHelloSize bytes.
func (s *DsmHello) Decode(b []byte) error {
	if len(b) < DsmHelloSize {
		return short("bd_dsm_hello", len(b), DsmHelloSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Thread = binary.LittleEndian.Uint32(b[8:])
	s.Reserved = binary.LittleEndian.Uint32(b[12:])
	return nil
}

// Put writes the struct into the first DsmHelloSize bytes of b.
func (s *DsmHello) Put(b []byte) {
	_ = b[DsmHelloSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint32(b[8:], s.Thread)
	binary.LittleEndian.PutUint32(b[12:], s.Reserved)
}

// Encode returns the struct's bytes.
func (s *DsmHello) Encode() []byte {
	b := make([]byte, DsmHelloSize)
	s.Put(b)
	return b
}
