// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

import "encoding/binary"

// Size and offsets of struct bd_sensor.
const (
	SensorSize         = 64
	SensorIDOff        = 0
	SensorClassOff     = 4
	SensorReserved8Off = 5
	SensorFlagsOff     = 6
	SensorLimitOff     = 8
	SensorValueOff     = 16
	SensorNameOff      = 24
	SensorUnitOff      = 48
	SensorReservedOff  = 56
)

// Sensor is struct bd_sensor.
type Sensor struct {
	ID        uint32
	Class     uint8
	Reserved8 uint8
	Flags     uint16
	Limit     uint64
	Value     uint64
	Name      [24]byte
	Unit      [8]byte
	Reserved  uint64
}

// Decode copies the fields out of b, which holds at least SensorSize bytes.
func (s *Sensor) Decode(b []byte) error {
	if len(b) < SensorSize {
		return short("bd_sensor", len(b), SensorSize)
	}
	s.ID = binary.LittleEndian.Uint32(b[0:])
	s.Class = b[4]
	s.Reserved8 = b[5]
	s.Flags = binary.LittleEndian.Uint16(b[6:])
	s.Limit = binary.LittleEndian.Uint64(b[8:])
	s.Value = binary.LittleEndian.Uint64(b[16:])
	copy(s.Name[:], b[24:])
	copy(s.Unit[:], b[48:])
	s.Reserved = binary.LittleEndian.Uint64(b[56:])
	return nil
}

// Put writes the struct into the first SensorSize bytes of b.
func (s *Sensor) Put(b []byte) {
	_ = b[SensorSize-1]
	binary.LittleEndian.PutUint32(b[0:], s.ID)
	b[4] = s.Class
	b[5] = s.Reserved8
	binary.LittleEndian.PutUint16(b[6:], s.Flags)
	binary.LittleEndian.PutUint64(b[8:], s.Limit)
	binary.LittleEndian.PutUint64(b[16:], s.Value)
	copy(b[24:24+24], s.Name[:])
	copy(b[48:48+8], s.Unit[:])
	binary.LittleEndian.PutUint64(b[56:], s.Reserved)
}

// Encode returns the struct's bytes.
func (s *Sensor) Encode() []byte {
	b := make([]byte, SensorSize)
	s.Put(b)
	return b
}
