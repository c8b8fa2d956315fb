// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// enum bd_dsm_welcome_flag
const (
	DsmDevice   = 1
	DsmRestored = 2
)

// DsmWelcomeFlagName names a value of enum bd_dsm_welcome_flag.
func DsmWelcomeFlagName(v uint32) string {
	switch v {
	case DsmDevice:
		return "device"
	case DsmRestored:
		return "restored"
	}
	return unknown(v)
}

// Size and offsets of struct bd_dsm_welcome.
const (
	DsmWelcomeSize            = 312
	DsmWelcomeMagicOff        = 0
	DsmWelcomeErrorOff        = 8
	DsmWelcomeFlagsOff        = 12
	DsmWelcomeBaseOff         = 16
	DsmWelcomeBytesOff        = 24
	DsmWelcomePrivateBytesOff = 32
	DsmWelcomePageSizeOff     = 40
	DsmWelcomeRingBytesOff    = 44
	DsmWelcomeNodeOff         = 48
	DsmWelcomeNodesOff        = 52
	DsmWelcomeIncarnationOff  = 56
	DsmWelcomeLocksOff        = 60
	DsmWelcomeCondsOff        = 64
	DsmWelcomeReservedOff     = 68
	DsmWelcomeTextOff         = 72
)

// DsmWelcome is struct bd_dsm_welcome.
type DsmWelcome struct {
	Magic        uint64
	Error        int32
	Flags        uint32
	Base         uint64
	Bytes        uint64
	PrivateBytes uint64
	PageSize     uint32
	RingBytes    uint32
	Node         uint32
	Nodes        uint32
	Incarnation  uint32
	Locks        uint32
	Conds        uint32
	Reserved     uint32
	Text         [240]byte
}

// Decode copies the fields out of b, which holds at least DsmWelcomeSize bytes.
func (s *DsmWelcome) Decode(b []byte) error {
	if len(b) < DsmWelcomeSize {
		return short("bd_dsm_welcome", len(b), DsmWelcomeSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Error = int32(binary.LittleEndian.Uint32(b[8:]))
	s.Flags = binary.LittleEndian.Uint32(b[12:])
	s.Base = binary.LittleEndian.Uint64(b[16:])
	s.Bytes = binary.LittleEndian.Uint64(b[24:])
	s.PrivateBytes = binary.LittleEndian.Uint64(b[32:])
	s.PageSize = binary.LittleEndian.Uint32(b[40:])
	s.RingBytes = binary.LittleEndian.Uint32(b[44:])
	s.Node = binary.LittleEndian.Uint32(b[48:])
	s.Nodes = binary.LittleEndian.Uint32(b[52:])
	s.Incarnation = binary.LittleEndian.Uint32(b[56:])
	s.Locks = binary.LittleEndian.Uint32(b[60:])
	s.Conds = binary.LittleEndian.Uint32(b[64:])
	s.Reserved = binary.LittleEndian.Uint32(b[68:])
	copy(s.Text[:], b[72:])
	return nil
}

// Put writes the struct into the first DsmWelcomeSize bytes of b.
func (s *DsmWelcome) Put(b []byte) {
	_ = b[DsmWelcomeSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint32(b[8:], uint32(s.Error))
	binary.LittleEndian.PutUint32(b[12:], s.Flags)
	binary.LittleEndian.PutUint64(b[16:], s.Base)
	binary.LittleEndian.PutUint64(b[24:], s.Bytes)
	binary.LittleEndian.PutUint64(b[32:], s.PrivateBytes)
	binary.LittleEndian.PutUint32(b[40:], s.PageSize)
	binary.LittleEndian.PutUint32(b[44:], s.RingBytes)
	binary.LittleEndian.PutUint32(b[48:], s.Node)
	binary.LittleEndian.PutUint32(b[52:], s.Nodes)
	binary.LittleEndian.PutUint32(b[56:], s.Incarnation)
	binary.LittleEndian.PutUint32(b[60:], s.Locks)
	binary.LittleEndian.PutUint32(b[64:], s.Conds)
	binary.LittleEndian.PutUint32(b[68:], s.Reserved)
	copy(b[72:72+240], s.Text[:])
}

// Encode returns the struct's bytes.
func (s *DsmWelcome) Encode() []byte {
	b := make([]byte, DsmWelcomeSize)
	s.Put(b)
	return b
}
