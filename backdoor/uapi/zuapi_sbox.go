// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_sbox.
const (
	SboxSize          = 64
	SboxMagicOff      = 0
	SboxMajorOff      = 8
	SboxMinorOff      = 10
	SboxCapacityOff   = 12
	SboxCountOff      = 16
	SboxRecordSizeOff = 20
	SboxGenerationOff = 24
	SboxBootIDOff     = 32
	SboxMonoNsOff     = 48
	SboxHzOff         = 56
	SboxNCPUsOff      = 60
)

// Sbox is struct bd_sbox.
type Sbox struct {
	Magic      uint64
	Major      uint16
	Minor      uint16
	Capacity   uint32
	Count      uint32
	RecordSize uint32
	Generation uint64
	BootID     [16]uint8
	MonoNs     uint64
	Hz         uint32
	NCPUs      uint32
}

// Decode copies the fields out of b, which holds at least SboxSize bytes.
func (s *Sbox) Decode(b []byte) error {
	if len(b) < SboxSize {
		return short("bd_sbox", len(b), SboxSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Major = binary.LittleEndian.Uint16(b[8:])
	s.Minor = binary.LittleEndian.Uint16(b[10:])
	s.Capacity = binary.LittleEndian.Uint32(b[12:])
	s.Count = binary.LittleEndian.Uint32(b[16:])
	s.RecordSize = binary.LittleEndian.Uint32(b[20:])
	s.Generation = binary.LittleEndian.Uint64(b[24:])
	copy(s.BootID[:], b[32:])
	s.MonoNs = binary.LittleEndian.Uint64(b[48:])
	s.Hz = binary.LittleEndian.Uint32(b[56:])
	s.NCPUs = binary.LittleEndian.Uint32(b[60:])
	return nil
}

// Put writes the struct into the first SboxSize bytes of b.
func (s *Sbox) Put(b []byte) {
	_ = b[SboxSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint16(b[8:], s.Major)
	binary.LittleEndian.PutUint16(b[10:], s.Minor)
	binary.LittleEndian.PutUint32(b[12:], s.Capacity)
	binary.LittleEndian.PutUint32(b[16:], s.Count)
	binary.LittleEndian.PutUint32(b[20:], s.RecordSize)
	binary.LittleEndian.PutUint64(b[24:], s.Generation)
	copy(b[32:32+16], s.BootID[:])
	binary.LittleEndian.PutUint64(b[48:], s.MonoNs)
	binary.LittleEndian.PutUint32(b[56:], s.Hz)
	binary.LittleEndian.PutUint32(b[60:], s.NCPUs)
}

// Encode returns the struct's bytes.
func (s *Sbox) Encode() []byte {
	b := make([]byte, SboxSize)
	s.Put(b)
	return b
}
