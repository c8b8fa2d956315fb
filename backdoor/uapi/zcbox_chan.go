// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_cbox_chan.
const (
	CboxChanSize           = 192
	CboxChanRingOff        = 0
	CboxChanWriterOff      = 16
	CboxChanReaderOff      = 20
	CboxChanStateOff       = 24
	CboxChanReservedOff    = 28
	CboxChanReserved2Off   = 32
	CboxChanHeadOff        = 64
	CboxChanEndOff         = 72
	CboxChanWriterWaitsOff = 76
	CboxChanReserved3Off   = 80
	CboxChanLSROff         = 128
	CboxChanReadOff        = 136
	CboxChanGoneOff        = 144
	CboxChanReaderWaitsOff = 148
	CboxChanReserved4Off   = 152
)

// CboxChan is struct bd_cbox_chan.
type CboxChan struct {
	Ring        CboxArea
	Writer      uint32
	Reader      uint32
	State       uint32
	Reserved    uint32
	Reserved2   [4]uint64
	Head        uint64
	End         uint32
	WriterWaits uint32
	Reserved3   [6]uint64
	LSR         uint64
	Read        uint64
	Gone        uint32
	ReaderWaits uint32
	Reserved4   [5]uint64
}

// Decode copies the fields out of b, which holds at least CboxChanSize bytes.
func (s *CboxChan) Decode(b []byte) error {
	if len(b) < CboxChanSize {
		return short("bd_cbox_chan", len(b), CboxChanSize)
	}
	_ = s.Ring.Decode(b[0:])
	s.Writer = binary.LittleEndian.Uint32(b[16:])
	s.Reader = binary.LittleEndian.Uint32(b[20:])
	s.State = binary.LittleEndian.Uint32(b[24:])
	s.Reserved = binary.LittleEndian.Uint32(b[28:])
	for i := range s.Reserved2 {
		s.Reserved2[i] = binary.LittleEndian.Uint64(b[32+i*8:])
	}
	s.Head = binary.LittleEndian.Uint64(b[64:])
	s.End = binary.LittleEndian.Uint32(b[72:])
	s.WriterWaits = binary.LittleEndian.Uint32(b[76:])
	for i := range s.Reserved3 {
		s.Reserved3[i] = binary.LittleEndian.Uint64(b[80+i*8:])
	}
	s.LSR = binary.LittleEndian.Uint64(b[128:])
	s.Read = binary.LittleEndian.Uint64(b[136:])
	s.Gone = binary.LittleEndian.Uint32(b[144:])
	s.ReaderWaits = binary.LittleEndian.Uint32(b[148:])
	for i := range s.Reserved4 {
		s.Reserved4[i] = binary.LittleEndian.Uint64(b[152+i*8:])
	}
	return nil
}

// Put writes the struct into the first CboxChanSize bytes of b.
func (s *CboxChan) Put(b []byte) {
	_ = b[CboxChanSize-1]
	s.Ring.Put(b[0:])
	binary.LittleEndian.PutUint32(b[16:], s.Writer)
	binary.LittleEndian.PutUint32(b[20:], s.Reader)
	binary.LittleEndian.PutUint32(b[24:], s.State)
	binary.LittleEndian.PutUint32(b[28:], s.Reserved)
	for i := range s.Reserved2 {
		binary.LittleEndian.PutUint64(b[32+i*8:], s.Reserved2[i])
	}
	binary.LittleEndian.PutUint64(b[64:], s.Head)
	binary.LittleEndian.PutUint32(b[72:], s.End)
	binary.LittleEndian.PutUint32(b[76:], s.WriterWaits)
	for i := range s.Reserved3 {
		binary.LittleEndian.PutUint64(b[80+i*8:], s.Reserved3[i])
	}
	binary.LittleEndian.PutUint64(b[128:], s.LSR)
	binary.LittleEndian.PutUint64(b[136:], s.Read)
	binary.LittleEndian.PutUint32(b[144:], s.Gone)
	binary.LittleEndian.PutUint32(b[148:], s.ReaderWaits)
	for i := range s.Reserved4 {
		binary.LittleEndian.PutUint64(b[152+i*8:], s.Reserved4[i])
	}
}

// Encode returns the struct's bytes.
func (s *CboxChan) Encode() []byte {
	b := make([]byte, CboxChanSize)
	s.Put(b)
	return b
}
