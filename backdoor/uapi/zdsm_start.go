// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_dsm_start.
const (
	DsmStartSize        = 256
	DsmStartMagicOff    = 0
	DsmStartErrorOff    = 8
	DsmStartReservedOff = 12
	DsmStartTextOff     = 16
)

// DsmStart is struct bd_dsm_start.
type DsmStart struct {
	Magic    uint64
	Error    int32
	Reserved uint32
	Text     [240]byte
}

// Decode copies the fields out of b, which holds at least DsmStartSize bytes.
func (s *DsmStart) Decode(b []byte) error {
	if len(b) < DsmStartSize {
		return short("bd_dsm_start", len(b), DsmStartSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Error = int32(binary.LittleEndian.Uint32(b[8:]))
	s.Reserved = binary.LittleEndian.Uint32(b[12:])
	copy(s.Text[:], b[16:])
	return nil
}

// Put writes the struct into the first DsmStartSize bytes of b.
func (s *DsmStart) Put(b []byte) {
	_ = b[DsmStartSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint32(b[8:], uint32(s.Error))
	binary.LittleEndian.PutUint32(b[12:], s.Reserved)
	copy(b[16:16+240], s.Text[:])
}

// Encode returns the struct's bytes.
func (s *DsmStart) Encode() []byte {
	b := make([]byte, DsmStartSize)
	s.Put(b)
	return b
}
