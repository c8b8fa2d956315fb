// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_entry_head.
const (
	EntryHeadSize    = 56
	EntryHeadTagOff  = 0
	EntryHeadSizeOff = 4
	EntryHeadNameOff = 8
)

// EntryHead is struct bd_entry_head.
type EntryHead struct {
	Tag  uint32
	Size uint32
	Name [48]byte
}

// Decode copies the fields out of b, which holds at least EntryHeadSize bytes.
func (s *EntryHead) Decode(b []byte) error {
	if len(b) < EntryHeadSize {
		return short("bd_entry_head", len(b), EntryHeadSize)
	}
	s.Tag = binary.LittleEndian.Uint32(b[0:])
	s.Size = binary.LittleEndian.Uint32(b[4:])
	copy(s.Name[:], b[8:])
	return nil
}

// Put writes the struct into the first EntryHeadSize bytes of b.
func (s *EntryHead) Put(b []byte) {
	_ = b[EntryHeadSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Tag)
	binary.LittleEndian.PutUint32(b[4:], s.Size)
	copy(b[8:8+48], s.Name[:])
}

// Encode returns the struct's bytes.
func (s *EntryHead) Encode() []byte {
	b := make([]byte, EntryHeadSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_entry_value.
const (
	EntryValueSize     = 64
	EntryValueHeadOff  = 0
	EntryValueValueOff = 56
)

// EntryValue is struct bd_entry_value.
type EntryValue struct {
	Head  EntryHead
	Value uint64
}

// Decode copies the fields out of b, which holds at least EntryValueSize bytes.
func (s *EntryValue) Decode(b []byte) error {
	if len(b) < EntryValueSize {
		return short("bd_entry_value", len(b), EntryValueSize)
	}
	_ = s.Head.Decode(b[0:])
	s.Value = binary.LittleEndian.Uint64(b[56:])
	return nil
}

// Put writes the struct into the first EntryValueSize bytes of b.
func (s *EntryValue) Put(b []byte) {
	_ = b[EntryValueSize-1]
	s.Head.Put(b[0:])
	binary.LittleEndian.PutUint64(b[56:], s.Value)
}

// Encode returns the struct's bytes.
func (s *EntryValue) Encode() []byte {
	b := make([]byte, EntryValueSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_entry_offset.
const (
	EntryOffsetSize      = 64
	EntryOffsetHeadOff   = 0
	EntryOffsetOffsetOff = 56
	EntryOffsetBytesOff  = 60
)

// EntryOffset is struct bd_entry_offset.
type EntryOffset struct {
	Head   EntryHead
	Offset uint32
	Bytes  uint32
}

// Decode copies the fields out of b, which holds at least EntryOffsetSize bytes.
func (s *EntryOffset) Decode(b []byte) error {
	if len(b) < EntryOffsetSize {
		return short("bd_entry_offset", len(b), EntryOffsetSize)
	}
	_ = s.Head.Decode(b[0:])
	s.Offset = binary.LittleEndian.Uint32(b[56:])
	s.Bytes = binary.LittleEndian.Uint32(b[60:])
	return nil
}

// Put writes the struct into the first EntryOffsetSize bytes of b.
func (s *EntryOffset) Put(b []byte) {
	_ = b[EntryOffsetSize-1]
	s.Head.Put(b[0:])
	binary.LittleEndian.PutUint32(b[56:], s.Offset)
	binary.LittleEndian.PutUint32(b[60:], s.Bytes)
}

// Encode returns the struct's bytes.
func (s *EntryOffset) Encode() []byte {
	b := make([]byte, EntryOffsetSize)
	s.Put(b)
	return b
}
