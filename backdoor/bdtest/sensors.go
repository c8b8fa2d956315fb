// SPDX-License-Identifier: Apache-2.0

package bdtest

import (
	"encoding/binary"
	"time"

	"lazystate/backdoor/uapi"
)

// Sensor is one record of the Sensor Box.
type Sensor struct {
	ID           uint32
	Class        uint8 // uapi.Progress, uapi.Level, uapi.Pressure
	Flags        uint16
	Limit, Value uint64
	Name, Unit   string
}

// SetSensor makes a sensor, or replaces the one of the same id. ID 0 takes a
// free record and its index + 1 as id; the id is returned.
func (t *Target) SetSensor(s Sensor) uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	box := t.area[uapi.KindSensorbox]
	count := int(binary.LittleEndian.Uint32(t.ram[box+uapi.SboxCountOff:]))
	i := t.sensorIndex(s.ID)
	if i < 0 || s.ID == 0 {
		i = count
		if i >= uapi.SboxCapacity {
			panic("bdtest: the sensor box is full")
		}
		t.put32(box+uapi.SboxCountOff, uint32(count+1))
		t.put64(box+uapi.SboxGenerationOff, t.get64(box+uapi.SboxGenerationOff)+1)
	}
	if s.ID == 0 {
		s.ID = uint32(i + 1)
	}
	rec := uapi.Sensor{ID: s.ID, Class: s.Class, Flags: s.Flags, Limit: s.Limit, Value: s.Value}
	uapi.PutCString(rec.Name[:], s.Name)
	uapi.PutCString(rec.Unit[:], s.Unit)
	rec.Put(t.ram[t.record(i):])
	return s.ID
}

func (t *Target) record(i int) uint64 {
	return t.area[uapi.KindSensorbox] + uapi.SboxSize + uint64(i)*uapi.SensorSize
}

func (t *Target) sensorIndex(id uint32) int {
	count := int(binary.LittleEndian.Uint32(t.ram[t.area[uapi.KindSensorbox]+uapi.SboxCountOff:]))
	for i := range min(count, uapi.SboxCapacity) {
		if binary.LittleEndian.Uint32(t.ram[t.record(i):]) == id {
			return i
		}
	}
	return -1
}

// SetValue stores V of a sensor.
func (t *Target) SetValue(id uint32, v uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := t.sensorIndex(id); i >= 0 {
		t.put64(t.record(i)+uapi.SensorValueOff, v)
	}
}

// RemoveSensor frees a sensor's record.
func (t *Target) RemoveSensor(id uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := t.sensorIndex(id); i >= 0 {
		box := t.area[uapi.KindSensorbox]
		clear(t.at(t.record(i), uapi.SensorSize))
		t.put64(box+uapi.SboxGenerationOff, t.get64(box+uapi.SboxGenerationOff)+1)
	}
}

// Tick lets d pass on the target's clock, as Sensor Box readers see it: mono_ns
// rises, and every progress sensor rises by one, unless the CPUs hang.
func (t *Target) Tick(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.hung || t.gone || t.kernel.held() {
		return
	}
	box := t.area[uapi.KindSensorbox]
	t.put64(box+uapi.SboxMonoNsOff, t.get64(box+uapi.SboxMonoNsOff)+uint64(d))
	count := int(binary.LittleEndian.Uint32(t.ram[box+uapi.SboxCountOff:]))
	for i := range min(count, uapi.SboxCapacity) {
		if t.ram[t.record(i)+uapi.SensorClassOff] == uapi.Progress {
			v := t.record(i) + uapi.SensorValueOff
			t.put64(v, t.get64(v)+1)
		}
	}
}

// SetUIDs fills the table beside the box.
func (t *Target) SetUIDs(uids ...uapi.UID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	table := uapi.UIDs{Magic: uapi.UIDsMagic, Count: uint32(len(uids))}
	pa := t.area[uapi.KindUIDs]
	table.Seq = t.get64(pa+uapi.UIDsSeqOff) + 2
	copy(table.UID[:], uids)
	table.Put(t.ram[pa:])
}

// SetForeign publishes words by address, as bdagent does.
func (t *Target) SetForeign(words ...uapi.Foreign) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, w := range words {
		w.Put(t.ram[t.area[uapi.KindForeign]+uint64(i)*uapi.ForeignSize:])
	}
}
