// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// enum bd_manifest_tag
const (
	TagEnd    = 0
	TagString = 1
	TagValue  = 2
	TagOffset = 3
)

// ManifestTagName names a value of enum bd_manifest_tag.
func ManifestTagName(v uint32) string {
	switch v {
	case TagEnd:
		return "end"
	case TagString:
		return "string"
	case TagValue:
		return "value"
	case TagOffset:
		return "offset"
	}
	return unknown(v)
}

// Size and offsets of struct bd_manifest.
const (
	ManifestSize          = 48
	ManifestMagicOff      = 0
	ManifestLenOff        = 8
	ManifestCountOff      = 12
	ManifestCRC32Off      = 16
	ManifestCRC32NextOff  = 20
	ManifestBootIDOff     = 24
	ManifestGenerationOff = 40
)

// Manifest is struct bd_manifest.
type Manifest struct {
	Magic      uint64
	Len        uint32
	Count      uint32
	CRC32      uint32
	CRC32Next  uint32
	BootID     [16]uint8
	Generation uint64
}

// Decode copies the fields out of b, which holds at least ManifestSize bytes.
func (s *Manifest) Decode(b []byte) error {
	if len(b) < ManifestSize {
		return short("bd_manifest", len(b), ManifestSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Len = binary.LittleEndian.Uint32(b[8:])
	s.Count = binary.LittleEndian.Uint32(b[12:])
	s.CRC32 = binary.LittleEndian.Uint32(b[16:])
	s.CRC32Next = binary.LittleEndian.Uint32(b[20:])
	copy(s.BootID[:], b[24:])
	s.Generation = binary.LittleEndian.Uint64(b[40:])
	return nil
}

// Put writes the struct into the first ManifestSize bytes of b.
func (s *Manifest) Put(b []byte) {
	_ = b[ManifestSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint32(b[8:], s.Len)
	binary.LittleEndian.PutUint32(b[12:], s.Count)
	binary.LittleEndian.PutUint32(b[16:], s.CRC32)
	binary.LittleEndian.PutUint32(b[20:], s.CRC32Next)
	copy(b[24:24+16], s.BootID[:])
	binary.LittleEndian.PutUint64(b[40:], s.Generation)
}

// Encode returns the struct's bytes.
func (s *Manifest) Encode() []byte {
	b := make([]byte, ManifestSize)
	s.Put(b)
	return b
}
