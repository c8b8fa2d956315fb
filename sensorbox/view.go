// SPDX-License-Identifier: Apache-2.0

package sensorbox

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"lazystate/backdoor/uapi"
)

const pageSize = 4096

// mostRecords is more than a box of several pages holds, and few enough that a
// hostile header costs the monitor nothing.
const mostRecords = 1024

// Defect is a record or a user page that failed its validation. The rest of
// the view stands.
type Defect struct {
	Page   uint8
	Record int // -1: the page's header
	Why    string
}

func (d Defect) String() string {
	where := "box"
	if d.Page > 0 {
		where = fmt.Sprintf("user page %d", d.Page)
	}
	if d.Record >= 0 {
		where += fmt.Sprintf(" record %d", d.Record)
	}
	return where + ": " + d.Why
}

// CorruptError is a box whose header cannot be believed.
type CorruptError struct{ Why string }

func (e *CorruptError) Error() string { return "sensor box: " + e.Why }

// View is a validated copy of a target's Sensor Box (fetch_sb of §3.4.1).
// Its memory is reused: as long as the target changes values only, Decode
// allocates nothing.
type View struct {
	Header  uapi.Sbox
	Sensors []Sensor // the kernel's first, then those of user space
	Defects []Defect
	Shape   uint64 // rises whenever anything but a value has changed

	raw         []byte // of the last full parse: box, then users
	boxLen      int
	where       []int                      // offset in raw of each sensor's record
	generations [1 + uapi.UserPages]uint64 // of each page
}

// Decode reads a copy of the box and of the region of user sensors, or of its
// beginning: the directory and some pages (nil: none). The error
// is a *CorruptError; the view is then as before.
func (v *View) Decode(box, users []byte) error {
	h, err := decodeHeader(box)
	if err != nil {
		return &CorruptError{err.Error()}
	}
	if !v.sameShape(box, users) {
		v.parse(h, box, users)
	}
	v.Header = h
	for i := range v.Sensors {
		v.Sensors[i].Value = value(box, users, v.where[i])
	}
	return nil
}

func value(box, users []byte, off int) uint64 {
	if off >= len(box) {
		box, off = users, off-len(box)
	}
	return binary.LittleEndian.Uint64(box[off+uapi.SensorValueOff:])
}

func decodeHeader(b []byte) (h uapi.Sbox, err error) {
	if err := h.Decode(b); err != nil {
		return h, err
	}
	room := uint64(len(b) - uapi.SboxSize)
	switch {
	case h.Magic != uapi.SboxMagic:
		return h, fmt.Errorf("magic %#x", h.Magic)
	case h.Major != uapi.VersionMajor:
		return h, fmt.Errorf("version %d.%d, this monitor speaks %d.x", h.Major, h.Minor, uapi.VersionMajor)
	case h.RecordSize < uapi.SensorSize || h.RecordSize%8 != 0 || h.RecordSize > pageSize:
		return h, fmt.Errorf("records of %d bytes", h.RecordSize)
	case h.Capacity > mostRecords:
		return h, fmt.Errorf("%d records", h.Capacity)
	case uint64(h.Capacity)*uint64(h.RecordSize) > room:
		return h, fmt.Errorf("%d records of %d bytes in %d", h.Capacity, h.RecordSize, room)
	case h.Count > h.Capacity:
		return h, fmt.Errorf("%d records used of %d", h.Count, h.Capacity)
	}
	return h, nil
}

// sameShape reports whether nothing but values and the header's clock differ
// from the last full parse.
func (v *View) sameShape(box, users []byte) bool {
	if v.boxLen != len(box) || len(v.raw) != len(box)+len(users) || !sameBox(v.raw[:len(box)], box) {
		return false
	}
	old := v.raw[len(box):]
	for off := 0; off < len(users); off += pageSize {
		end := min(off+pageSize, len(users))
		if off == 0 && !bytes.Equal(old[:end], users[:end]) {
			return false // the directory
		}
		if off > 0 && !sameRecords(old[off:end], users[off:end], uapi.SensorSize, uapi.UserCapacity) {
			return false
		}
	}
	return true
}

// sameBox compares two boxes of which the first was parsed before.
func sameBox(old, now []byte) bool {
	if len(now) < uapi.SboxSize || !bytes.Equal(old[:uapi.SboxMonoNsOff], now[:uapi.SboxMonoNsOff]) {
		return bytes.Equal(old, now)
	}
	size := int(binary.LittleEndian.Uint32(now[uapi.SboxRecordSizeOff:]))
	used := int(binary.LittleEndian.Uint32(now[uapi.SboxCountOff:]))
	return sameRecords(old[uapi.SboxSize:], now[uapi.SboxSize:], size, used)
}

// sameRecords compares all but the values.
func sameRecords(old, now []byte, size, used int) bool {
	for off := 0; used > 0 && off+size <= len(now); used, off = used-1, off+size {
		if !bytes.Equal(old[off:off+uapi.SensorValueOff], now[off:off+uapi.SensorValueOff]) ||
			!bytes.Equal(old[off+uapi.SensorNameOff:off+size], now[off+uapi.SensorNameOff:off+size]) {
			return false
		}
	}
	return true
}
