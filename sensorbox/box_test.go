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
	clock      uint64 // mono_ns, at the last tick
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
		Count: uint32(len(b.records)), RecordSize: uapi.SensorSize, Generation: b.generation, Hz: 250, NCPUs: 2, MonoNs: b.clock,
	}
	h.Put(buf)
	for i := range b.records {
		b.records[i].Put(buf[uapi.SboxSize+i*uapi.SensorSize:])
	}
	return buf
}

const boxSize = uapi.SboxPages * pageSize

// encodeUsers returns the region of user sensors with these records in its
// first page, which uid owns.
func (b *fakeBox) encodeUsers(uid uint32) []byte {
	buf := make([]byte, uapi.UserRegionPages*pageSize)
	dir := uapi.UserDir{Magic: uapi.UsersMagic}
	own := &dir.Page[0]
	own.Generation, own.UID = b.generation, uid
	for i := range b.records {
		r := &b.records[i]
		r.Put(buf[pageSize+i*uapi.SensorSize:])
		own.Used |= 1 << i
		if r.Flags&uapi.SensorOrphaned != 0 {
			own.Orphaned |= 1 << i
		}
		if r.Flags&uapi.SensorHeartbeat != 0 {
			own.Heartbeat |= 1 << i
		}
	}
	dir.Put(buf)
	return buf
}
