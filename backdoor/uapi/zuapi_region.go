// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// enum bd_region_kind
const (
	KindTable       = 1
	KindManifest    = 2
	KindSensorbox   = 3
	KindUserSensors = 4
	KindUIDs        = 5
	KindMemory      = 6
	KindLockReq     = 7
	KindLockAck     = 8
	KindKillReq     = 9
	KindKillAck     = 10
	KindKnobReq     = 11
	KindKnobAck     = 12
	KindFence       = 13
	KindPanic       = 14
	KindForeign     = 15
	KindDevice      = 16
	KindBoxes       = 17
	KindOwnerReq    = 18
	KindOwnerAck    = 19
	KindProposals   = 20
	KindProposalAck = 21
	KindHello       = 22
	KindDenial      = 23
	KindGrant       = 24
)

// RegionKindName names a value of enum bd_region_kind.
func RegionKindName(v uint32) string {
	switch v {
	case KindTable:
		return "table"
	case KindManifest:
		return "manifest"
	case KindSensorbox:
		return "sensorbox"
	case KindUserSensors:
		return "user sensors"
	case KindUIDs:
		return "uids"
	case KindMemory:
		return "memory"
	case KindLockReq:
		return "lock req"
	case KindLockAck:
		return "lock ack"
	case KindKillReq:
		return "kill req"
	case KindKillAck:
		return "kill ack"
	case KindKnobReq:
		return "knob req"
	case KindKnobAck:
		return "knob ack"
	case KindFence:
		return "fence"
	case KindPanic:
		return "panic"
	case KindForeign:
		return "foreign"
	case KindDevice:
		return "device"
	case KindBoxes:
		return "boxes"
	case KindOwnerReq:
		return "owner req"
	case KindOwnerAck:
		return "owner ack"
	case KindProposals:
		return "proposals"
	case KindProposalAck:
		return "proposal ack"
	case KindHello:
		return "hello"
	case KindDenial:
		return "denial"
	case KindGrant:
		return "grant"
	}
	return unknown(v)
}

// Size and offsets of struct bd_region.
const (
	RegionSize          = 88
	RegionNameOff       = 0
	RegionKindOff       = 24
	RegionPermOff       = 28
	RegionAddrOff       = 32
	RegionLenOff        = 40
	RegionGPAOff        = 48
	RegionKeyOff        = 56
	RegionFlagsOff      = 60
	RegionGenerationOff = 64
	RegionBootIDOff     = 72
)

// Region is struct bd_region.
type Region struct {
	Name       [24]byte
	Kind       uint32
	Perm       uint32
	Addr       uint64
	Len        uint64
	GPA        uint64
	Key        uint32
	Flags      uint32
	Generation uint64
	BootID     [16]uint8
}

// Decode copies the fields out of b, which holds at least RegionSize bytes.
func (s *Region) Decode(b []byte) error {
	if len(b) < RegionSize {
		return short("bd_region", len(b), RegionSize)
	}
	copy(s.Name[:], b[0:])
	s.Kind = binary.LittleEndian.Uint32(b[24:])
	s.Perm = binary.LittleEndian.Uint32(b[28:])
	s.Addr = binary.LittleEndian.Uint64(b[32:])
	s.Len = binary.LittleEndian.Uint64(b[40:])
	s.GPA = binary.LittleEndian.Uint64(b[48:])
	s.Key = binary.LittleEndian.Uint32(b[56:])
	s.Flags = binary.LittleEndian.Uint32(b[60:])
	s.Generation = binary.LittleEndian.Uint64(b[64:])
	copy(s.BootID[:], b[72:])
	return nil
}

// Put writes the struct into the first RegionSize bytes of b.
func (s *Region) Put(b []byte) {
	_ = b[RegionSize-1]
	copy(b[0:0+24], s.Name[:])
	binary.LittleEndian.PutUint32(b[24:], s.Kind)
	binary.LittleEndian.PutUint32(b[28:], s.Perm)
	binary.LittleEndian.PutUint64(b[32:], s.Addr)
	binary.LittleEndian.PutUint64(b[40:], s.Len)
	binary.LittleEndian.PutUint64(b[48:], s.GPA)
	binary.LittleEndian.PutUint32(b[56:], s.Key)
	binary.LittleEndian.PutUint32(b[60:], s.Flags)
	binary.LittleEndian.PutUint64(b[64:], s.Generation)
	copy(b[72:72+16], s.BootID[:])
}

// Encode returns the struct's bytes.
func (s *Region) Encode() []byte {
	b := make([]byte, RegionSize)
	s.Put(b)
	return b
}
