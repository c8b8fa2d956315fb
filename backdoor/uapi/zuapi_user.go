// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_user_page.
const (
	UserPageSize          = 40
	UserPageGenerationOff = 0
	UserPageUsedOff       = 8
	UserPageOrphanedOff   = 16
	UserPageHeartbeatOff  = 24
	UserPageUIDOff        = 32
	UserPageReservedOff   = 36
)

// UserPage is struct bd_user_page.
type UserPage struct {
	Generation uint64
	Used       uint64
	Orphaned   uint64
	Heartbeat  uint64
	UID        uint32
	Reserved   uint32
}

// Decode copies the fields out of b, which holds at least UserPageSize bytes.
func (s *UserPage) Decode(b []byte) error {
	if len(b) < UserPageSize {
		return short("bd_user_page", len(b), UserPageSize)
	}
	s.Generation = binary.LittleEndian.Uint64(b[0:])
	s.Used = binary.LittleEndian.Uint64(b[8:])
	s.Orphaned = binary.LittleEndian.Uint64(b[16:])
	s.Heartbeat = binary.LittleEndian.Uint64(b[24:])
	s.UID = binary.LittleEndian.Uint32(b[32:])
	s.Reserved = binary.LittleEndian.Uint32(b[36:])
	return nil
}

// Put writes the struct into the first UserPageSize bytes of b.
func (s *UserPage) Put(b []byte) {
	_ = b[UserPageSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Generation)
	binary.LittleEndian.PutUint64(b[8:], s.Used)
	binary.LittleEndian.PutUint64(b[16:], s.Orphaned)
	binary.LittleEndian.PutUint64(b[24:], s.Heartbeat)
	binary.LittleEndian.PutUint32(b[32:], s.UID)
	binary.LittleEndian.PutUint32(b[36:], s.Reserved)
}

// Encode returns the struct's bytes.
func (s *UserPage) Encode() []byte {
	b := make([]byte, UserPageSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_user_dir.
const (
	UserDirSize        = 656
	UserDirMagicOff    = 0
	UserDirReservedOff = 8
	UserDirPageOff     = 16
)

// UserDir is struct bd_user_dir.
type UserDir struct {
	Magic    uint64
	Reserved uint64
	Page     [16]UserPage
}

// Decode copies the fields out of b, which holds at least UserDirSize bytes.
func (s *UserDir) Decode(b []byte) error {
	if len(b) < UserDirSize {
		return short("bd_user_dir", len(b), UserDirSize)
	}
	s.Magic = binary.LittleEndian.Uint64(b[0:])
	s.Reserved = binary.LittleEndian.Uint64(b[8:])
	for i := range s.Page {
		_ = s.Page[i].Decode(b[16+i*40:])
	}
	return nil
}

// Put writes the struct into the first UserDirSize bytes of b.
func (s *UserDir) Put(b []byte) {
	_ = b[UserDirSize-1]
	binary.LittleEndian.PutUint64(b[0:], s.Magic)
	binary.LittleEndian.PutUint64(b[8:], s.Reserved)
	for i := range s.Page {
		s.Page[i].Put(b[16+i*40:])
	}
}

// Encode returns the struct's bytes.
func (s *UserDir) Encode() []byte {
	b := make([]byte, UserDirSize)
	s.Put(b)
	return b
}
