// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_cbox_snap.
const (
	CboxSnapSize       = 64
	CboxSnapSeqOff     = 0
	CboxSnapCRCOff     = 8
	CboxSnapLenOff     = 12
	CboxSnapNumberOff  = 16
	CboxSnapOrderOff   = 24
	CboxSnapLSROff     = 32
	CboxSnapLSWOff     = 40
	CboxSnapLogBaseOff = 48
	CboxSnapActionsOff = 56
	CboxSnapFlagsOff   = 60
	CboxSnapEndsOff    = 62
)

// CboxSnap is struct bd_cbox_snap.
type CboxSnap struct {
	Seq     uint64
	CRC     uint32
	Len     uint32
	Number  uint64
	Order   uint64
	LSR     uint64
	LSW     uint64
	LogBase uint64
	Actions uint32
	Flags   uint16
	Ends    uint16
}

// Decode copies the fields out of b, which holds at least CboxSnapSize bytes.
func (s *CboxSnap) Decode(b []byte) error {
	if len(b) < CboxSnapSize {
		return short("bd_cbox_snap", len(b), CboxSnapSize)
	}
	s.Seq = binary.LittleEndian.Uint64(b[0:])
	s.CRC = binary.LittleEndian.Uint32(b[8:])
	s.Len = binary.LittleEndian.Uint32(b[12:])
	s.Number = binary.LittleEndian.Uint64(b[16:])
	s.Order = binary.LittleEndian.Uint64(b[24:])
	s.LSR = binary.LittleEndian.Uint64(b[32:])
	s.LSW = binary.LittleEndian.Uint64(b[40:])
	s.LogBase = binary.LittleEndian.Uint64(b[48:])
	s.Actions = binary.LittleEndian.Uint32(b[56:])
	s.Flags = binary.LittleEndian.Uint16(b[60:])
	s.Ends = binary.LittleEndian.Uint16(b[62:])
	return nil
}

// Put writes the struct into the first CboxSnapSize bytes of b.
func (s *CboxSnap) Put(b []byte) {
	_ = b[CboxSnapSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Seq)
	binary.LittleEndian.PutUint32(b[8:], s.CRC)
	binary.LittleEndian.PutUint32(b[12:], s.Len)
	binary.LittleEndian.PutUint64(b[16:], s.Number)
	binary.LittleEndian.PutUint64(b[24:], s.Order)
	binary.LittleEndian.PutUint64(b[32:], s.LSR)
	binary.LittleEndian.PutUint64(b[40:], s.LSW)
	binary.LittleEndian.PutUint64(b[48:], s.LogBase)
	binary.LittleEndian.PutUint32(b[56:], s.Actions)
	binary.LittleEndian.PutUint16(b[60:], s.Flags)
	binary.LittleEndian.PutUint16(b[62:], s.Ends)
}

// Encode returns the struct's bytes.
func (s *CboxSnap) Encode() []byte {
	b := make([]byte, CboxSnapSize)
	s.Put(b)
	return b
}
