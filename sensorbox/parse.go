// SPDX-License-Identifier: Apache-2.0

package sensorbox

import (
	"fmt"
	"strconv"

	"lazystate/backdoor/uapi"
)

// longest deadline of a progress sensor that is believed: a day.
const longestDeadline = 24 * 3600 * 1e6

// parse reads everything again; the box's header is good.
func (v *View) parse(h uapi.Sbox, box, users []byte) {
	v.raw = append(append(v.raw[:0], box...), users...)
	v.boxLen = len(box)
	v.Sensors, v.Defects, v.where = v.Sensors[:0], v.Defects[:0], v.where[:0]
	v.Shape++
	v.box(h, box)
	if len(users) > 0 {
		v.users(users, len(box))
	}
}

func (v *View) box(h uapi.Sbox, b []byte) {
	v.generations[0] = h.Generation
	for i := range int(h.Count) {
		off := uapi.SboxSize + i*int(h.RecordSize)
		var r uapi.Sensor
		if r.Decode(b[off:]) == nil { // too short cannot be: the header was checked
			v.record(0, 0, i, &r, off)
		}
	}
}

// users reads the directory, which is the target's own, and then of each page
// only what the directory vouches for: user space can write the rest.
func (v *View) users(b []byte, base int) {
	var dir uapi.UserDir
	if err := dir.Decode(b); err != nil || dir.Magic != uapi.UsersMagic {
		v.Defects = append(v.Defects, Defect{0, -1, fmt.Sprintf("directory of user sensors: magic %#x in %d bytes", dir.Magic, len(b))})
		return
	}
	for i := range dir.Page {
		page := i + 1
		v.generations[page] = dir.Page[i].Generation
		if off := page * pageSize; len(b) >= off+pageSize {
			v.userPage(uint8(page), &dir.Page[i], b[off:off+pageSize], base+off)
		}
	}
}

func (v *View) userPage(page uint8, owner *uapi.UserPage, b []byte, base int) {
	first := len(v.Sensors)
	for i := range uapi.UserCapacity {
		if owner.Used>>i&1 == 0 {
			continue
		}
		var r uapi.Sensor
		if err := r.Decode(b[i*uapi.SensorSize:]); err != nil || r.ID == 0 {
			continue // released just now
		}
		r.ID = owner.UID<<16 | r.ID&0xffff
		r.Flags = r.Flags&uapi.SensorMin | uapi.SensorUser
		if owner.Orphaned>>i&1 != 0 {
			r.Flags |= uapi.SensorOrphaned
		}
		if owner.Heartbeat>>i&1 != 0 {
			r.Flags |= uapi.SensorHeartbeat
		}
		v.record(page, first, i, &r, base+i*uapi.SensorSize)
	}
}

// record adds a sensor to those of its page, which begin at first.
func (v *View) record(page uint8, first, i int, r *uapi.Sensor, off int) {
	if r.ID == 0 {
		return // free
	}
	s, why := newSensor(page, r)
	if why == "" && taken(v.Sensors[first:], s.ID) {
		why = "id " + strconv.FormatUint(uint64(s.ID), 10) + " is used twice"
	}
	if why != "" {
		v.Defects = append(v.Defects, Defect{page, i, why})
		return
	}
	v.Sensors = append(v.Sensors, s)
	v.where = append(v.where, off)
}

func taken(sensors []Sensor, id uint32) bool {
	for i := range sensors {
		if sensors[i].ID == id {
			return true
		}
	}
	return false
}

func newSensor(page uint8, r *uapi.Sensor) (Sensor, string) {
	s := Sensor{
		Key: Key{page, r.ID}, Class: Class(r.Class), Flags: Flags(r.Flags), Limit: r.Limit, Value: r.Value,
		name: uapi.CString(r.Name[:]), unit: uapi.CString(r.Unit[:]),
	}
	switch {
	case s.Class < Progress || s.Class > Pressure:
		return s, s.Class.String()
	case s.Flags&^knownFlags != 0:
		return s, "flags " + strconv.FormatUint(uint64(s.Flags), 16)
	case !word(s.name) || s.name == "":
		return s, "name " + strconv.Quote(s.name)
	case !word(s.unit):
		return s, "unit " + strconv.Quote(s.unit)
	case s.Class == Progress && s.Limit > longestDeadline:
		return s, "a deadline of " + strconv.FormatUint(s.Limit, 10) + " us"
	}
	if page > 0 {
		s.name = strconv.FormatUint(uint64(s.ID>>16), 10) + "/" + s.name
	}
	return s, ""
}

// word: printable ASCII without blanks and without the separator of user names.
func word(s string) bool {
	for _, c := range []byte(s) {
		if c < 0x21 || c > 0x7e {
			return false
		}
	}
	return true
}
