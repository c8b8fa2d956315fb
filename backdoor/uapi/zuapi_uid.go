// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_uid.
const (
	UIDSize         = 32
	UIDUIDOff       = 0
	UIDTasksOff     = 4
	UIDProcsOff     = 8
	UIDForksPerSOff = 12
	UIDFootprintOff = 16
	UIDForksOff     = 24
)

// UID is struct bd_uid.
type UID struct {
	UID       uint32
	Tasks     uint32
	Procs     uint32
	ForksPerS uint32
	Footprint uint64
	Forks     uint64
}

// Decode copies the fields out of b, which holds at least UIDSize bytes.
func (s *UID) Decode(b []byte) error {
	if len(b) < UIDSize {
		return short("bd_uid", len(b), UIDSize)
	}
	s.UID = binary.LittleEndian.Uint32(b[0:])
	s.Tasks = binary.LittleEndian.Uint32(b[4:])
	s.Procs = binary.LittleEndian.Uint32(b[8:])
	s.ForksPerS = binary.LittleEndian.Uint32(b[12:])
	s.Footprint = binary.LittleEndian.Uint64(b[16:])
	s.Forks = binary.LittleEndian.Uint64(b[24:])
	return nil
}

// Put writes the struct into the first UIDSize bytes of b.
func (s *UID) Put(b []byte) {
	_ = b[UIDSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.UID)
	binary.LittleEndian.PutUint32(b[4:], s.Tasks)
	binary.LittleEndian.PutUint32(b[8:], s.Procs)
	binary.LittleEndian.PutUint32(b[12:], s.ForksPerS)
	binary.LittleEndian.PutUint64(b[16:], s.Footprint)
	binary.LittleEndian.PutUint64(b[24:], s.Forks)
}

// Encode returns the struct's bytes.
func (s *UID) Encode() []byte {
	b := make([]byte, UIDSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_uids.
const (
	UIDsSize        = 4096
	UIDsMagicOff    = 0
	UIDsCountOff    = 8
	UIDsOverflowOff = 12
	UIDsSeqOff      = 16
	UIDsMonoNsOff   = 24
	UIDsUIDOff      = 32
)

// UIDs is struct bd_uids.
type UIDs struct {
	Magic    uint64
	Count    uint32
	Overflow uint32
	Seq      uint64
	MonoNs   uint64
	UID      [127]UID
}

// Decode copies the fields out of b, which holds at least UIDsSize bytes.
func (s *UIDs) Decode(b []byte) error {
	if len(b) < UIDsSize {
		return short("bd_uids", len(b), UIDsSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Count = binary.LittleEndian.Uint32(b[8:])
	s.Overflow = binary.LittleEndian.Uint32(b[12:])
	s.Seq = binary.LittleEndian.Uint64(b[16:])
	s.MonoNs = binary.LittleEndian.Uint64(b[24:])
	for i := range s.UID {
		_ = s.UID[i].Decode(b[32+i*32:])
	}
	return nil
}

// Put writes the struct into the first UIDsSize bytes of b.
func (s *UIDs) Put(b []byte) {
	_ = b[UIDsSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint32(b[8:], s.Count)
	binary.LittleEndian.PutUint32(b[12:], s.Overflow)
	binary.LittleEndian.PutUint64(b[16:], s.Seq)
	binary.LittleEndian.PutUint64(b[24:], s.MonoNs)
	for i := range s.UID {
		s.UID[i].Put(b[32+i*32:])
	}
}

// Encode returns the struct's bytes.
func (s *UIDs) Encode() []byte {
	b := make([]byte, UIDsSize)
	s.Put(b)
	return b
}
