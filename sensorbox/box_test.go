// SPDX-License-Identifier: Apache-2.0

package sensorbox

import (
	"slices"

	"lazystate/backdoor/uapi"
)

// fakeBox is a target's side: records that are encoded into the bytes a
// monitor would read.
type fakeBox struct {
	records    []uapi.Sensor
	generation uint64
}

func (b *fakeBox) add(name string, class Class, limit uint64, flags Flags) *uapi.Sensor {
	var r uapi.Sensor
	r.ID = uint32(len(b.records) + 1)
	r.Class, r.Flags, r.Limit = uint8(class), uint16(flags), limit
	uapi.PutCString(r.Name[:], name)
	b.records = append(b.records, r)
	b.generation++
	return &b.records[len(b.records)-1]
}

func (b *fakeBox) sensor(name string) *uapi.Sensor {
	i := slices.IndexFunc(b.records, func(r uapi.Sensor) bool { return uapi.CString(r.Name[:]) == name })
	if i < 0 {
		return nil
	}
	return &b.records[i]
}

// encode returns size bytes: a header and the records.
func (b *fakeBox) encode(size int) []byte {
	buf := make([]byte, size)
	h := uapi.Sbox{
		Magic: uapi.SboxMagic, Major: uapi.VersionMajor, Capacity: uint32((size - uapi.SboxSize) / uapi.SensorSize),
		Count: uint32(len(b.records)), RecordSize: uapi.SensorSize, Generation: b.generation, Hz: 250, NCPUs: 2,
	}
	h.Put(buf)
	for i := range b.records {
		b.records[i].Put(buf[uapi.SboxSize+i*uapi.SensorSize:])
	}
	return buf
}

const boxSize = uapi.SboxPages * pageSize
