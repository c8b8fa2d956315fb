// SPDX-License-Identifier: Apache-2.0

package sensorbox

import (
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
	v.records(0, h, box, 0)
	for page := 1; page <= uapi.UserPages && (page-1)*pageSize < len(users); page++ {
		off := (page - 1) * pageSize
		v.userPage(uint8(page), users[off:min(off+pageSize, len(users))], len(box)+off)
	}
}

// userPage reads a page that user space can write to, header and all.
func (v *View) userPage(page uint8, b []byte, base int) {
	var h uapi.Sbox
	if h.Decode(b) == nil && h.Magic == 0 {
		v.generations[page] = 0
		return // no file descriptor owns it
	}
	h, err := decodeHeader(b)
	if err != nil {
		v.Defects = append(v.Defects, Defect{page, -1, err.Error()})
		return
	}
	v.records(page, h, b, base)
}

func (v *View) records(page uint8, h uapi.Sbox, b []byte, base int) {
	v.generations[page] = h.Generation
	first := len(v.Sensors)
	for i := range int(h.Count) {
		off := uapi.SboxSize + i*int(h.RecordSize)
		var r uapi.Sensor
		if err := r.Decode(b[off:]); err != nil || r.ID == 0 {
			continue // free; too short cannot be: the header was checked
		}
		s, why := newSensor(page, &r)
		if why == "" && taken(v.Sensors[first:], s.ID) {
			why = "id " + strconv.FormatUint(uint64(s.ID), 10) + " is used twice"
		}
		if why != "" {
			v.Defects = append(v.Defects, Defect{page, i, why})
			continue
		}
		v.Sensors = append(v.Sensors, s)
		v.where = append(v.where, base+off)
	}
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
		// Whatever the page says: a user's sensor is a user's, and no clock.
		s.Flags = s.Flags&^Clock | User
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
