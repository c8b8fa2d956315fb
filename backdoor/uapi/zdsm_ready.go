// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_dsm_ready.
const (
	DsmReadySize     = 8
	DsmReadyMagicOff = 0
)

// DsmReady is struct bd_dsm_ready.
type DsmReady struct {
	Magic uint64
}

// Decode copies the fields out of b, which holds at least DsmReadySize bytes.
func (s *DsmReady) Decode(b []byte) error {
	if len(b) < DsmReadySize {
		return short("bd_dsm_ready", len(b), DsmReadySize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	return nil
}

// Put writes the struct into the first DsmReadySize bytes of b.
func (s *DsmReady) Put(b []byte) {
	_ = b[DsmReadySize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
}

// Encode returns the struct's bytes.
func (s *DsmReady) Encode() []byte {
	b := make([]byte, DsmReadySize)
	s.Put(b)
	return b
}
