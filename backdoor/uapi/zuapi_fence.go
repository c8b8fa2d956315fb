// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

// Size and offsets of struct bd_fence.
const (
	FenceSize    = 512
	FenceSlotOff = 0
)

// Fence is struct bd_fence.
type Fence struct {
	Slot [8]LockReq
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
