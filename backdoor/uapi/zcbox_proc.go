// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// enum bd_cbox_proc_state
const (
	CboxProcFree   = 0
	CboxProcJoined = 1
	CboxProcLive   = 2
	CboxProcDone   = 3
)

// CboxProcStateName names a value of enum bd_cbox_proc_state.
func CboxProcStateName(v uint32) string {
	switch v {
	case CboxProcFree:
		return "free"
	case CboxProcJoined:
		return "joined"
	case CboxProcLive:
		return "live"
	case CboxProcDone:
		return "done"
	}
	return unknown(v)
}

// Size and offsets of struct bd_cbox_proc.
const (
	CboxProcSize         = 128
	CboxProcSnapOffOff   = 0
	CboxProcSnapLenOff   = 8
	CboxProcParentOff    = 12
	CboxProcStateOff     = 16
	CboxProcReservedOff  = 20
	CboxProcPIDOff       = 24
	CboxProcNameOff      = 32
	CboxProcReserved2Off = 56
	CboxProcOwnerOff     = 64
	CboxProcBusyOff      = 68
	CboxProcReserved3Off = 72
)

// CboxProc is struct bd_cbox_proc.
type CboxProc struct {
	SnapOff   uint64
	SnapLen   uint32
	Parent    uint32
	State     uint32
	Reserved  uint32
	PID       uint64
	Name      [24]byte
	Reserved2 uint64
	Owner     uint32
	Busy      uint32
	Reserved3 [7]uint64
}

// Decode copies the fields out of b, which holds at least CboxProcSize bytes.
func (s *CboxProc) Decode(b []byte) error {
	if len(b) < CboxProcSize {
		return short("bd_cbox_proc", len(b), CboxProcSize)
	}
	s.SnapOff = binary.LittleEndian.Uint64(b[0:])
	s.SnapLen = binary.LittleEndian.Uint32(b[8:])
	s.Parent = binary.LittleEndian.Uint32(b[12:])
	s.State = binary.LittleEndian.Uint32(b[16:])
	s.Reserved = binary.LittleEndian.Uint32(b[20:])
	s.PID = binary.LittleEndian.Uint64(b[24:])
	copy(s.Name[:], b[32:])
	s.Reserved2 = binary.LittleEndian.Uint64(b[56:])
	s.Owner = binary.LittleEndian.Uint32(b[64:])
	s.Busy = binary.LittleEndian.Uint32(b[68:])
	for i := range s.Reserved3 {
		s.Reserved3[i] = binary.LittleEndian.Uint64(b[72+i*8:])
	}
	return nil
}

// Put writes the struct into the first CboxProcSize bytes of b.
func (s *CboxProc) Put(b []byte) {
	_ = b[CboxProcSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.SnapOff)
	binary.LittleEndian.PutUint32(b[8:], s.SnapLen)
	binary.LittleEndian.PutUint32(b[12:], s.Parent)
	binary.LittleEndian.PutUint32(b[16:], s.State)
	binary.LittleEndian.PutUint32(b[20:], s.Reserved)
	binary.LittleEndian.PutUint64(b[24:], s.PID)
	copy(b[32:32+24], s.Name[:])
	binary.LittleEndian.PutUint64(b[56:], s.Reserved2)
	binary.LittleEndian.PutUint32(b[64:], s.Owner)
	binary.LittleEndian.PutUint32(b[68:], s.Busy)
	for i := range s.Reserved3 {
		binary.LittleEndian.PutUint64(b[72+i*8:], s.Reserved3[i])
	}
}

// Encode returns the struct's bytes.
func (s *CboxProc) Encode() []byte {
	b := make([]byte, CboxProcSize)
	s.Put(b)
	return b
}
