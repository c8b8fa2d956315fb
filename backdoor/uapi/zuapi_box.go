// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// enum bd_box_state
const (
	BoxFree  = 0
	BoxNew   = 1
	BoxBound = 2
)

// BoxStateName names a value of enum bd_box_state.
func BoxStateName(v uint32) string {
	switch v {
	case BoxFree:
		return "free"
	case BoxNew:
		return "new"
	case BoxBound:
		return "bound"
	}
	return unknown(v)
}

// Size and offsets of struct bd_box_end.
const (
	BoxEndSize      = 24
	BoxEndFamilyOff = 0
	BoxEndPortOff   = 2
	BoxEndScopeOff  = 4
	BoxEndAddrOff   = 8
)

// BoxEnd is struct bd_box_end.
type BoxEnd struct {
	Family uint16
	Port   uint16
	Scope  uint32
	Addr   [16]uint8
}

// Decode copies the fields out of b, which holds at least BoxEndSize bytes.
func (s *BoxEnd) Decode(b []byte) error {
	if len(b) < BoxEndSize {
		return short("bd_box_end", len(b), BoxEndSize)
	}
	s.Family = binary.LittleEndian.Uint16(b[0:])
	s.Port = binary.LittleEndian.Uint16(b[2:])
	s.Scope = binary.LittleEndian.Uint32(b[4:])
	copy(s.Addr[:], b[8:])
	return nil
}

// Put writes the struct into the first BoxEndSize bytes of b.
func (s *BoxEnd) Put(b []byte) {
	_ = b[BoxEndSize-1]
	binary.LittleEndian.PutUint16(b[0:], s.Family)
	binary.LittleEndian.PutUint16(b[2:], s.Port)
	binary.LittleEndian.PutUint32(b[4:], s.Scope)
	copy(b[8:8+16], s.Addr[:])
}

// Encode returns the struct's bytes.
func (s *BoxEnd) Encode() []byte {
	b := make([]byte, BoxEndSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_box.
const (
	BoxSize          = 128
	BoxStateOff      = 0
	BoxUIDOff        = 4
	BoxGenerationOff = 8
	BoxFirstOff      = 16
	BoxPagesOff      = 20
	BoxSockOff       = 24
	BoxLocalOff      = 32
	BoxRemoteOff     = 56
	BoxNetnsOff      = 80
	BoxRcvFirstOff   = 84
	BoxSndFirstOff   = 88
	BoxMoreOff       = 92
	BoxProcsOff      = 96
)

// Box is struct bd_box.
type Box struct {
	State      uint32
	UID        uint32
	Generation uint64
	First      uint32
	Pages      uint32
	Sock       uint64
	Local      BoxEnd
	Remote     BoxEnd
	Netns      uint32
	RcvFirst   uint32
	SndFirst   uint32
	More       uint32
	Procs      [8]uint32
}

// Decode copies the fields out of b, which holds at least BoxSize bytes.
func (s *Box) Decode(b []byte) error {
	if len(b) < BoxSize {
		return short("bd_box", len(b), BoxSize)
	}
	s.State = binary.LittleEndian.Uint32(b[0:])
	s.UID = binary.LittleEndian.Uint32(b[4:])
	s.Generation = binary.LittleEndian.Uint64(b[8:])
	s.First = binary.LittleEndian.Uint32(b[16:])
	s.Pages = binary.LittleEndian.Uint32(b[20:])
	s.Sock = binary.LittleEndian.Uint64(b[24:])
	_ = s.Local.Decode(b[32:])
	_ = s.Remote.Decode(b[56:])
	s.Netns = binary.LittleEndian.Uint32(b[80:])
	s.RcvFirst = binary.LittleEndian.Uint32(b[84:])
	s.SndFirst = binary.LittleEndian.Uint32(b[88:])
	s.More = binary.LittleEndian.Uint32(b[92:])
	for i := range s.Procs {
		s.Procs[i] = binary.LittleEndian.Uint32(b[96+i*4:])
	}
	return nil
}

// Put writes the struct into the first BoxSize bytes of b.
func (s *Box) Put(b []byte) {
	_ = b[BoxSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.State)
	binary.LittleEndian.PutUint32(b[4:], s.UID)
	binary.LittleEndian.PutUint64(b[8:], s.Generation)
	binary.LittleEndian.PutUint32(b[16:], s.First)
	binary.LittleEndian.PutUint32(b[20:], s.Pages)
	binary.LittleEndian.PutUint64(b[24:], s.Sock)
	s.Local.Put(b[32:])
	s.Remote.Put(b[56:])
	binary.LittleEndian.PutUint32(b[80:], s.Netns)
	binary.LittleEndian.PutUint32(b[84:], s.RcvFirst)
	binary.LittleEndian.PutUint32(b[88:], s.SndFirst)
	binary.LittleEndian.PutUint32(b[92:], s.More)
	for i := range s.Procs {
		binary.LittleEndian.PutUint32(b[96+i*4:], s.Procs[i])
	}
}

// Encode returns the struct's bytes.
func (s *Box) Encode() []byte {
	b := make([]byte, BoxSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_boxes.
const (
	BoxesSize          = 64
	BoxesMagicOff      = 0
	BoxesEntrySizeOff  = 8
	BoxesCapacityOff   = 12
	BoxesSlotsOff      = 16
	BoxesMapOffOff     = 20
	BoxesBoxesOff      = 24
	BoxesTouchedOff    = 28
	BoxesGenerationOff = 32
	BoxesBootIDOff     = 40
	BoxesReservedOff   = 56
)

// Boxes is struct bd_boxes.
type Boxes struct {
	Magic      uint64
	EntrySize  uint32
	Capacity   uint32
	Slots      uint32
	MapOff     uint32
	Boxes      uint32
	Touched    uint32
	Generation uint64
	BootID     [16]uint8
	Reserved   uint64
}

// Decode copies the fields out of b, which holds at least BoxesSize bytes.
func (s *Boxes) Decode(b []byte) error {
	if len(b) < BoxesSize {
		return short("bd_boxes", len(b), BoxesSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.EntrySize = binary.LittleEndian.Uint32(b[8:])
	s.Capacity = binary.LittleEndian.Uint32(b[12:])
	s.Slots = binary.LittleEndian.Uint32(b[16:])
	s.MapOff = binary.LittleEndian.Uint32(b[20:])
	s.Boxes = binary.LittleEndian.Uint32(b[24:])
	s.Touched = binary.LittleEndian.Uint32(b[28:])
	s.Generation = binary.LittleEndian.Uint64(b[32:])
	copy(s.BootID[:], b[40:])
	s.Reserved = binary.LittleEndian.Uint64(b[56:])
	return nil
}

// Put writes the struct into the first BoxesSize bytes of b.
func (s *Boxes) Put(b []byte) {
	_ = b[BoxesSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint32(b[8:], s.EntrySize)
	binary.LittleEndian.PutUint32(b[12:], s.Capacity)
	binary.LittleEndian.PutUint32(b[16:], s.Slots)
	binary.LittleEndian.PutUint32(b[20:], s.MapOff)
	binary.LittleEndian.PutUint32(b[24:], s.Boxes)
	binary.LittleEndian.PutUint32(b[28:], s.Touched)
	binary.LittleEndian.PutUint64(b[32:], s.Generation)
	copy(b[40:40+16], s.BootID[:])
	binary.LittleEndian.PutUint64(b[56:], s.Reserved)
}

// Encode returns the struct's bytes.
func (s *Boxes) Encode() []byte {
	b := make([]byte, BoxesSize)
	s.Put(b)
	return b
}
