// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// enum bd_panic_cause
const (
	PanicNone  = 0
	PanicPanic = 1
	PanicOops  = 2
)

// PanicCauseName names a value of enum bd_panic_cause.
func PanicCauseName(v uint32) string {
	switch v {
	case PanicNone:
		return "none"
	case PanicPanic:
		return "panic"
	case PanicOops:
		return "oops"
	}
	return unknown(v)
}

// Size and offsets of struct bd_panic.
const (
	PanicSize       = 256
	PanicMagicOff   = 0
	PanicCauseOff   = 8
	PanicCPUOff     = 12
	PanicMonoNsOff  = 16
	PanicJiffiesOff = 24
	PanicTextOff    = 32
)

// Panic is struct bd_panic.
type Panic struct {
	Magic   uint64
	Cause   uint32
	CPU     uint32
	MonoNs  uint64
	Jiffies uint64
	Text    [224]byte
}

// Decode copies the fields out of b, which holds at least PanicSize bytes.
func (s *Panic) Decode(b []byte) error {
	if len(b) < PanicSize {
		return short("bd_panic", len(b), PanicSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Cause = binary.LittleEndian.Uint32(b[8:])
	s.CPU = binary.LittleEndian.Uint32(b[12:])
	s.MonoNs = binary.LittleEndian.Uint64(b[16:])
	s.Jiffies = binary.LittleEndian.Uint64(b[24:])
	copy(s.Text[:], b[32:])
	return nil
}

// Put writes the struct into the first PanicSize bytes of b.
func (s *Panic) Put(b []byte) {
	_ = b[PanicSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint32(b[8:], s.Cause)
	binary.LittleEndian.PutUint32(b[12:], s.CPU)
	binary.LittleEndian.PutUint64(b[16:], s.MonoNs)
	binary.LittleEndian.PutUint64(b[24:], s.Jiffies)
	copy(b[32:32+224], s.Text[:])
}

// Encode returns the struct's bytes.
func (s *Panic) Encode() []byte {
	b := make([]byte, PanicSize)
	s.Put(b)
	return b
}
