// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_ioc_version.
const (
	IOCVersionSize          = 32
	IOCVersionMajorOff      = 0
	IOCVersionMinorOff      = 2
	IOCVersionFlagsOff      = 4
	IOCVersionBootIDOff     = 8
	IOCVersionGenerationOff = 24
)

// IOCVersion is struct bd_ioc_version.
type IOCVersion struct {
	Major      uint16
	Minor      uint16
	Flags      uint32
	BootID     [16]uint8
	Generation uint64
}

// Decode copies the fields out of b, which holds at least IOCVersionSize bytes.
func (s *IOCVersion) Decode(b []byte) error {
	if len(b) < IOCVersionSize {
		return short("bd_ioc_version", len(b), IOCVersionSize)
	}
	s.Major = binary.LittleEndian.Uint16(b[0:])
	s.Minor = binary.LittleEndian.Uint16(b[2:])
	s.Flags = binary.LittleEndian.Uint32(b[4:])
	copy(s.BootID[:], b[8:])
	s.Generation = binary.LittleEndian.Uint64(b[24:])
	return nil
}

// Put writes the struct into the first IOCVersionSize bytes of b.
func (s *IOCVersion) Put(b []byte) {
	_ = b[IOCVersionSize-1]
	binary.LittleEndian.PutUint16(b[0:], s.Major)
	binary.LittleEndian.PutUint16(b[2:], s.Minor)
	binary.LittleEndian.PutUint32(b[4:], s.Flags)
	copy(b[8:8+16], s.BootID[:])
	binary.LittleEndian.PutUint64(b[24:], s.Generation)
}

// Encode returns the struct's bytes.
func (s *IOCVersion) Encode() []byte {
	b := make([]byte, IOCVersionSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_ioc_sensor.
const (
	IOCSensorSize         = 56
	IOCSensorVersionOff   = 0
	IOCSensorIDOff        = 4
	IOCSensorClassOff     = 8
	IOCSensorReserved8Off = 9
	IOCSensorFlagsOff     = 10
	IOCSensorOffsetOff    = 12
	IOCSensorLimitOff     = 16
	IOCSensorNameOff      = 24
	IOCSensorUnitOff      = 48
)

// IOCSensor is struct bd_ioc_sensor.
type IOCSensor struct {
	Version   uint32
	ID        uint32
	Class     uint8
	Reserved8 uint8
	Flags     uint16
	Offset    uint32
	Limit     uint64
	Name      [24]byte
	Unit      [8]byte
}

// Decode copies the fields out of b, which holds at least IOCSensorSize bytes.
func (s *IOCSensor) Decode(b []byte) error {
	if len(b) < IOCSensorSize {
		return short("bd_ioc_sensor", len(b), IOCSensorSize)
	}
	s.Version = binary.LittleEndian.Uint32(b[0:])
	s.ID = binary.LittleEndian.Uint32(b[4:])
	s.Class = b[8]
	s.Reserved8 = b[9]
	s.Flags = binary.LittleEndian.Uint16(b[10:])
	s.Offset = binary.LittleEndian.Uint32(b[12:])
	s.Limit = binary.LittleEndian.Uint64(b[16:])
	copy(s.Name[:], b[24:])
	copy(s.Unit[:], b[48:])
	return nil
}

// Put writes the struct into the first IOCSensorSize bytes of b.
func (s *IOCSensor) Put(b []byte) {
	_ = b[IOCSensorSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Version)
	binary.LittleEndian.PutUint32(b[4:], s.ID)
	b[8] = s.Class
	b[9] = s.Reserved8
	binary.LittleEndian.PutUint16(b[10:], s.Flags)
	binary.LittleEndian.PutUint32(b[12:], s.Offset)
	binary.LittleEndian.PutUint64(b[16:], s.Limit)
	copy(b[24:24+24], s.Name[:])
	copy(b[48:48+8], s.Unit[:])
}

// Encode returns the struct's bytes.
func (s *IOCSensor) Encode() []byte {
	b := make([]byte, IOCSensorSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_ioc_key.
const (
	IOCKeySize        = 32
	IOCKeyVersionOff  = 0
	IOCKeyMonitorOff  = 4
	IOCKeyKeyOff      = 8
	IOCKeyRevokeOff   = 24
	IOCKeyReservedOff = 28
)

// IOCKey is struct bd_ioc_key.
type IOCKey struct {
	Version  uint32
	Monitor  uint32
	Key      [16]uint8
	Revoke   uint32
	Reserved uint32
}

// Decode copies the fields out of b, which holds at least IOCKeySize bytes.
func (s *IOCKey) Decode(b []byte) error {
	if len(b) < IOCKeySize {
		return short("bd_ioc_key", len(b), IOCKeySize)
	}
	s.Version = binary.LittleEndian.Uint32(b[0:])
	s.Monitor = binary.LittleEndian.Uint32(b[4:])
	copy(s.Key[:], b[8:])
	s.Revoke = binary.LittleEndian.Uint32(b[24:])
	s.Reserved = binary.LittleEndian.Uint32(b[28:])
	return nil
}

// Put writes the struct into the first IOCKeySize bytes of b.
func (s *IOCKey) Put(b []byte) {
	_ = b[IOCKeySize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Version)
	binary.LittleEndian.PutUint32(b[4:], s.Monitor)
	copy(b[8:8+16], s.Key[:])
	binary.LittleEndian.PutUint32(b[24:], s.Revoke)
	binary.LittleEndian.PutUint32(b[28:], s.Reserved)
}

// Encode returns the struct's bytes.
func (s *IOCKey) Encode() []byte {
	b := make([]byte, IOCKeySize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_ioc_foreign.
const (
	IOCForeignSize        = 64
	IOCForeignVersionOff  = 0
	IOCForeignReservedOff = 4
	IOCForeignWordOff     = 8
)

// IOCForeign is struct bd_ioc_foreign.
type IOCForeign struct {
	Version  uint32
	Reserved uint32
	Word     Foreign
}

// Decode copies the fields out of b, which holds at least IOCForeignSize bytes.
func (s *IOCForeign) Decode(b []byte) error {
	if len(b) < IOCForeignSize {
		return short("bd_ioc_foreign", len(b), IOCForeignSize)
	}
	s.Version = binary.LittleEndian.Uint32(b[0:])
	s.Reserved = binary.LittleEndian.Uint32(b[4:])
	_ = s.Word.Decode(b[8:])
	return nil
}

// Put writes the struct into the first IOCForeignSize bytes of b.
func (s *IOCForeign) Put(b []byte) {
	_ = b[IOCForeignSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Version)
	binary.LittleEndian.PutUint32(b[4:], s.Reserved)
	s.Word.Put(b[8:])
}

// Encode returns the struct's bytes.
func (s *IOCForeign) Encode() []byte {
	b := make([]byte, IOCForeignSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_ioc_policy.
const (
	IOCPolicySize        = 32
	IOCPolicyVersionOff  = 0
	IOCPolicyMonitorOff  = 4
	IOCPolicyReadOff     = 8
	IOCPolicyWriteOff    = 16
	IOCPolicyFlagsOff    = 24
	IOCPolicyReservedOff = 28
)

// IOCPolicy is struct bd_ioc_policy.
type IOCPolicy struct {
	Version  uint32
	Monitor  uint32
	Read     uint64
	Write    uint64
	Flags    uint32
	Reserved uint32
}

// Decode copies the fields out of b, which holds at least IOCPolicySize bytes.
func (s *IOCPolicy) Decode(b []byte) error {
	if len(b) < IOCPolicySize {
		return short("bd_ioc_policy", len(b), IOCPolicySize)
	}
	s.Version = binary.LittleEndian.Uint32(b[0:])
	s.Monitor = binary.LittleEndian.Uint32(b[4:])
	s.Read = binary.LittleEndian.Uint64(b[8:])
	s.Write = binary.LittleEndian.Uint64(b[16:])
	s.Flags = binary.LittleEndian.Uint32(b[24:])
	s.Reserved = binary.LittleEndian.Uint32(b[28:])
	return nil
}

// Put writes the struct into the first IOCPolicySize bytes of b.
func (s *IOCPolicy) Put(b []byte) {
	_ = b[IOCPolicySize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Version)
	binary.LittleEndian.PutUint32(b[4:], s.Monitor)
	binary.LittleEndian.PutUint64(b[8:], s.Read)
	binary.LittleEndian.PutUint64(b[16:], s.Write)
	binary.LittleEndian.PutUint32(b[24:], s.Flags)
	binary.LittleEndian.PutUint32(b[28:], s.Reserved)
}

// Encode returns the struct's bytes.
func (s *IOCPolicy) Encode() []byte {
	b := make([]byte, IOCPolicySize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_ioc_agreement.
const (
	IOCAgreementSize        = 24
	IOCAgreementVersionOff  = 0
	IOCAgreementKindOff     = 4
	IOCAgreementKOff        = 8
	IOCAgreementVotersOff   = 12
	IOCAgreementWindowMsOff = 16
	IOCAgreementReservedOff = 20
)

// IOCAgreement is struct bd_ioc_agreement.
type IOCAgreement struct {
	Version  uint32
	Kind     uint32
	K        uint32
	Voters   uint32
	WindowMs uint32
	Reserved uint32
}

// Decode copies the fields out of b, which holds at least IOCAgreementSize bytes.
func (s *IOCAgreement) Decode(b []byte) error {
	if len(b) < IOCAgreementSize {
		return short("bd_ioc_agreement", len(b), IOCAgreementSize)
	}
	s.Version = binary.LittleEndian.Uint32(b[0:])
	s.Kind = binary.LittleEndian.Uint32(b[4:])
	s.K = binary.LittleEndian.Uint32(b[8:])
	s.Voters = binary.LittleEndian.Uint32(b[12:])
	s.WindowMs = binary.LittleEndian.Uint32(b[16:])
	s.Reserved = binary.LittleEndian.Uint32(b[20:])
	return nil
}

// Put writes the struct into the first IOCAgreementSize bytes of b.
func (s *IOCAgreement) Put(b []byte) {
	_ = b[IOCAgreementSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Version)
	binary.LittleEndian.PutUint32(b[4:], s.Kind)
	binary.LittleEndian.PutUint32(b[8:], s.K)
	binary.LittleEndian.PutUint32(b[12:], s.Voters)
	binary.LittleEndian.PutUint32(b[16:], s.WindowMs)
	binary.LittleEndian.PutUint32(b[20:], s.Reserved)
}

// Encode returns the struct's bytes.
func (s *IOCAgreement) Encode() []byte {
	b := make([]byte, IOCAgreementSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_ioc_seal.
const (
	IOCSealSize        = 8
	IOCSealVersionOff  = 0
	IOCSealReservedOff = 4
)

// IOCSeal is struct bd_ioc_seal.
type IOCSeal struct {
	Version  uint32
	Reserved uint32
}

// Decode copies the fields out of b, which holds at least IOCSealSize bytes.
func (s *IOCSeal) Decode(b []byte) error {
	if len(b) < IOCSealSize {
		return short("bd_ioc_seal", len(b), IOCSealSize)
	}
	s.Version = binary.LittleEndian.Uint32(b[0:])
	s.Reserved = binary.LittleEndian.Uint32(b[4:])
	return nil
}

// Put writes the struct into the first IOCSealSize bytes of b.
func (s *IOCSeal) Put(b []byte) {
	_ = b[IOCSealSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Version)
	binary.LittleEndian.PutUint32(b[4:], s.Reserved)
}

// Encode returns the struct's bytes.
func (s *IOCSeal) Encode() []byte {
	b := make([]byte, IOCSealSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_ioc_box.
const (
	IOCBoxSize          = 32
	IOCBoxVersionOff    = 0
	IOCBoxSocketOff     = 4
	IOCBoxLengthOff     = 8
	IOCBoxOffsetOff     = 16
	IOCBoxGenerationOff = 24
)

// IOCBox is struct bd_ioc_box.
type IOCBox struct {
	Version    uint32
	Socket     int32
	Length     uint64
	Offset     uint64
	Generation uint64
}

// Decode copies the fields out of b, which holds at least IOCBoxSize bytes.
func (s *IOCBox) Decode(b []byte) error {
	if len(b) < IOCBoxSize {
		return short("bd_ioc_box", len(b), IOCBoxSize)
	}
	s.Version = binary.LittleEndian.Uint32(b[0:])
	s.Socket = int32(binary.LittleEndian.Uint32(b[4:]))
	s.Length = binary.LittleEndian.Uint64(b[8:])
	s.Offset = binary.LittleEndian.Uint64(b[16:])
	s.Generation = binary.LittleEndian.Uint64(b[24:])
	return nil
}

// Put writes the struct into the first IOCBoxSize bytes of b.
func (s *IOCBox) Put(b []byte) {
	_ = b[IOCBoxSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Version)
	binary.LittleEndian.PutUint32(b[4:], uint32(s.Socket))
	binary.LittleEndian.PutUint64(b[8:], s.Length)
	binary.LittleEndian.PutUint64(b[16:], s.Offset)
	binary.LittleEndian.PutUint64(b[24:], s.Generation)
}

// Encode returns the struct's bytes.
func (s *IOCBox) Encode() []byte {
	b := make([]byte, IOCBoxSize)
	s.Put(b)
	return b
}

// Size and offsets of struct bd_ioc_box_socket.
const (
	IOCBoxSocketSize       = 8
	IOCBoxSocketVersionOff = 0
	IOCBoxSocketSocketOff  = 4
)

// IOCBoxSocket is struct bd_ioc_box_socket.
type IOCBoxSocket struct {
	Version uint32
	Socket  int32
}

// Decode copies the fields out of b, which holds at least IOCBoxSocketSize bytes.
func (s *IOCBoxSocket) Decode(b []byte) error {
	if len(b) < IOCBoxSocketSize {
		return short("bd_ioc_box_socket", len(b), IOCBoxSocketSize)
	}
	s.Version = binary.LittleEndian.Uint32(b[0:])
	s.Socket = int32(binary.LittleEndian.Uint32(b[4:]))
	return nil
}

// Put writes the struct into the first IOCBoxSocketSize bytes of b.
func (s *IOCBoxSocket) Put(b []byte) {
	_ = b[IOCBoxSocketSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.Version)
	binary.LittleEndian.PutUint32(b[4:], uint32(s.Socket))
}

// Encode returns the struct's bytes.
func (s *IOCBoxSocket) Encode() []byte {
	b := make([]byte, IOCBoxSocketSize)
	s.Put(b)
	return b
}
