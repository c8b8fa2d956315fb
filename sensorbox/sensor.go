// SPDX-License-Identifier: Apache-2.0

package sensorbox

import (
	"strconv"

	"lazystate/backdoor/uapi"
)

// Class of a sensor, Table 3.1.
type Class uint8

const (
	Progress Class = uapi.Progress // V did not change within L
	Level    Class = uapi.Level    // V > L, or V < L of a minimum
	Pressure Class = uapi.Pressure // more than L events
)

func (c Class) String() string {
	switch c {
	case Progress:
		return "progress"
	case Level:
		return "level"
	case Pressure:
		return "pressure"
	}
	return "class(" + strconv.Itoa(int(c)) + ")"
}

// Flags of a sensor.
type Flags uint16

const (
	Minimum   Flags = uapi.SensorMin       // level: L is a minimum
	Clock     Flags = uapi.SensorClock     // progress driven by a clock, not by activity
	Orphaned  Flags = uapi.SensorOrphaned  // its owner died without a release
	User      Flags = uapi.SensorUser      // made by user space: informative unless named
	Heartbeat Flags = uapi.SensorHeartbeat // the user-space heartbeat

	knownFlags = Minimum | Clock | Orphaned | User | Heartbeat
)

// Key names a sensor of one target: user space may choose the number of a
// kernel sensor, but not the page it lies in.
type Key struct {
	Page uint8 // 0: the kernel's box; 1...: user page
	ID   uint32
}

// Sensor is the tuple <ID, C, L, V> of §3.4.1, with its name and unit. All but
// Value is the contract.
type Sensor struct {
	Key
	Class Class
	Flags Flags
	Limit uint64 // L: microseconds of a progress sensor; 0: no threshold
	Value uint64 // V

	name string
	unit string
}

// Name is unique in a target: a user sensor is called uid/name, so that none
// can take the name of a kernel sensor. The uid is the upper half of its id.
func (s *Sensor) Name() string { return s.name }

// Unit of the value: "us", "pages", "1/s".
func (s *Sensor) Unit() string { return s.unit }

// sameContract ignores what may change without a new generation.
func (s *Sensor) sameContract(o *Sensor) bool {
	return s.Class == o.Class && s.Flags&^Orphaned == o.Flags&^Orphaned && s.Limit == o.Limit &&
		s.name == o.name && s.unit == o.unit
}
