// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_grant.
const (
	GrantSize        = 136
	GrantMagicOff    = 0
	GrantMajorOff    = 4
	GrantMinorOff    = 6
	GrantFlagsOff    = 8
	GrantMonitorOff  = 12
	GrantCounterOff  = 16
	GrantGrantOff    = 24
	GrantNicCPUOff   = 28
	GrantReadOff     = 32
	GrantWriteOff    = 40
	GrantRootAddrOff = 48
	GrantRootLenOff  = 56
	GrantRootKeyOff  = 60
	GrantRootOff     = 64
	GrantTagOff      = 128
)

// Grant is struct bd_grant.
type Grant struct {
	Magic    uint32
	Major    uint16
	Minor    uint16
	Flags    uint32
	Monitor  uint32
	Counter  uint64
	Grant    uint32
	NicCPU   uint32
	Read     uint64
	Write    uint64
	RootAddr uint64
	RootLen  uint32
	RootKey  uint32
	Root     Root
	Tag      uint64
}

// Decode copies the fields out of b, which holds at least GrantSize bytes.
func (s *Grant) Decode(b []byte) error {
	if len(b) < GrantSize {
		return short("bd_grant", len(b), GrantSize)
	}
	s.Magic = binary.LittleEndian.Uint32(b[0:])
	s.Major = binary.LittleEndian.Uint16(b[4:])
	s.Minor = binary.LittleEndian.Uint16(b[6:])
	s.Flags = binary.LittleEndian.Uint32(b[8:])
	s.Monitor = binary.LittleEndian.Uint32(b[12:])
	s.Counter = binary.LittleEndian.Uint64(b[16:])
	s.Grant = binary.LittleEndian.Uint32(b[24:])
	s.NicCPU = binary.LittleEndian.Uint32(b[28:])
	s.Read = binary.LittleEndian.Uint64(b[32:])
	s.Write = binary.LittleEndian.Uint64(b[40:])
	s.RootAddr = binary.LittleEndian.Uint64(b[48:])
	s.RootLen = binary.LittleEndian.Uint32(b[56:])
	s.RootKey = binary.LittleEndian.Uint32(b[60:])
	_ = s.Root.Decode(b[64:])
	s.Tag = binary.LittleEndian.Uint64(b[128:])
	return nil
}

// Put writes the struct into the first GrantSize bytes of b.
func (s *Grant) Put(b []byte) {
	_ = b[GrantSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Magic)
	binary.LittleEndian.PutUint16(b[4:], s.Major)
	binary.LittleEndian.PutUint16(b[6:], s.Minor)
	binary.LittleEndian.PutUint32(b[8:], s.Flags)
	binary.LittleEndian.PutUint32(b[12:], s.Monitor)
	binary.LittleEndian.PutUint64(b[16:], s.Counter)
	binary.LittleEndian.PutUint32(b[24:], s.Grant)
	binary.LittleEndian.PutUint32(b[28:], s.NicCPU)
	binary.LittleEndian.PutUint64(b[32:], s.Read)
	binary.LittleEndian.PutUint64(b[40:], s.Write)
	binary.LittleEndian.PutUint64(b[48:], s.RootAddr)
	binary.LittleEndian.PutUint32(b[56:], s.RootLen)
	binary.LittleEndian.PutUint32(b[60:], s.RootKey)
	s.Root.Put(b[64:])
	binary.LittleEndian.PutUint64(b[128:], s.Tag)
}

// Encode returns the struct's bytes.
func (s *Grant) Encode() []byte {
	b := make([]byte, GrantSize)
	s.Put(b)
	return b
}
