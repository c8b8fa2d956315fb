// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_root.
const (
	RootSize          = 64
	RootMagicOff      = 0
	RootMajorOff      = 8
	RootMinorOff      = 10
	RootSizeOff       = 12
	RootBootIDOff     = 16
	RootGenerationOff = 32
	RootTableAddrOff  = 40
	RootTableGPAOff   = 48
	RootTableLenOff   = 56
	RootTableKeyOff   = 60
)

// Root is struct bd_root.
type Root struct {
	Magic      uint64
	Major      uint16
	Minor      uint16
	Size       uint32
	BootID     [16]uint8
	Generation uint64
	TableAddr  uint64
	TableGPA   uint64
	TableLen   uint32
	TableKey   uint32
}

// Decode copies the fields out of b, which holds at least RootSize bytes.
func (s *Root) Decode(b []byte) error {
	if len(b) < RootSize {
		return short("bd_root", len(b), RootSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Major = binary.LittleEndian.Uint16(b[8:])
	s.Minor = binary.LittleEndian.Uint16(b[10:])
	s.Size = binary.LittleEndian.Uint32(b[12:])
	copy(s.BootID[:], b[16:])
	s.Generation = binary.LittleEndian.Uint64(b[32:])
	s.TableAddr = binary.LittleEndian.Uint64(b[40:])
	s.TableGPA = binary.LittleEndian.Uint64(b[48:])
	s.TableLen = binary.LittleEndian.Uint32(b[56:])
	s.TableKey = binary.LittleEndian.Uint32(b[60:])
	return nil
}

// Put writes the struct into the first RootSize bytes of b.
func (s *Root) Put(b []byte) {
	_ = b[RootSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint16(b[8:], s.Major)
	binary.LittleEndian.PutUint16(b[10:], s.Minor)
	binary.LittleEndian.PutUint32(b[12:], s.Size)
	copy(b[16:16+16], s.BootID[:])
	binary.LittleEndian.PutUint64(b[32:], s.Generation)
	binary.LittleEndian.PutUint64(b[40:], s.TableAddr)
	binary.LittleEndian.PutUint64(b[48:], s.TableGPA)
	binary.LittleEndian.PutUint32(b[56:], s.TableLen)
	binary.LittleEndian.PutUint32(b[60:], s.TableKey)
}

// Encode returns the struct's bytes.
func (s *Root) Encode() []byte {
	b := make([]byte, RootSize)
	s.Put(b)
	return b
}
