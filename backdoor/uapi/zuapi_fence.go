// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_fence_req.
const (
	FenceReqSize        = 64
	FenceReqWantOff     = 0
	FenceReqEpochOff    = 4
	FenceReqHeirOff     = 8
	FenceReqDrainMsOff  = 12
	FenceReqFlagsOff    = 16
	FenceReqMonitorOff  = 20
	FenceReqSeqOff      = 24
	FenceReqTagOff      = 32
	FenceReqCommitOff   = 40
	FenceReqReservedOff = 44
)

// FenceReq is struct bd_fence_req.
type FenceReq struct {
	Want     uint32
	Epoch    uint32
	Heir     uint32
	DrainMs  uint32
	Flags    uint32
	Monitor  uint32
	Seq      uint64
	Tag      uint64
	Commit   uint32
	Reserved [5]uint32
}

// Decode copies the fields out of b, which holds at least FenceReqSize bytes.
func (s *FenceReq) Decode(b []byte) error {
	if len(b) < FenceReqSize {
		return short("bd_fence_req", len(b), FenceReqSize)
	}
	s.Want = binary.LittleEndian.Uint32(b[0:])
	s.Epoch = binary.LittleEndian.Uint32(b[4:])
	s.Heir = binary.LittleEndian.Uint32(b[8:])
	s.DrainMs = binary.LittleEndian.Uint32(b[12:])
	s.Flags = binary.LittleEndian.Uint32(b[16:])
	s.Monitor = binary.LittleEndian.Uint32(b[20:])
	s.Seq = binary.LittleEndian.Uint64(b[24:])
	s.Tag = binary.LittleEndian.Uint64(b[32:])
	s.Commit = binary.LittleEndian.Uint32(b[40:])
	for i := range s.Reserved {
		s.Reserved[i] = binary.LittleEndian.Uint32(b[44+i*4:])
	}
	return nil
}

// Put writes the struct into the first FenceReqSize bytes of b.
func (s *FenceReq) Put(b []byte) {
	_ = b[FenceReqSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Want)
	binary.LittleEndian.PutUint32(b[4:], s.Epoch)
	binary.LittleEndian.PutUint32(b[8:], s.Heir)
	binary.LittleEndian.PutUint32(b[12:], s.DrainMs)
	binary.LittleEndian.PutUint32(b[16:], s.Flags)
	binary.LittleEndian.PutUint32(b[20:], s.Monitor)
	binary.LittleEndian.PutUint64(b[24:], s.Seq)
	binary.LittleEndian.PutUint64(b[32:], s.Tag)
	binary.LittleEndian.PutUint32(b[40:], s.Commit)
	for i := range s.Reserved {
		binary.LittleEndian.PutUint32(b[44+i*4:], s.Reserved[i])
	}
}

// Encode returns the struct's bytes.
func (s *FenceReq) Encode() []byte {
	b := make([]byte, FenceReqSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_fence.
const (
	FenceSize    = 512
	FenceSlotOff = 0
)

// Fence is struct bd_fence.
type Fence struct {
	Slot [8]FenceReq
}

// Decode copies the fields out of b, which holds at least FenceSize bytes.
func (s *Fence) Decode(b []byte) error {
	if len(b) < FenceSize {
		return short("bd_fence", len(b), FenceSize)
	}
	for i := range s.Slot {
		_ = s.Slot[i].Decode(b[0+i*64:])
	}
	return nil
}

// Put writes the struct into the first FenceSize bytes of b.
func (s *Fence) Put(b []byte) {
	_ = b[FenceSize-1]
	for i := range s.Slot {
		s.Slot[i].Put(b[0+i*64:])
	}
}

// Encode returns the struct's bytes.
func (s *Fence) Encode() []byte {
	b := make([]byte, FenceSize)
	s.Put(b)
	return b
}
