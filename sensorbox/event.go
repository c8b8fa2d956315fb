// SPDX-License-Identifier: Apache-2.0

package sensorbox

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Kind of an event.
type Kind uint8

const (
	// Of one sensor, Table 3.1.
	Stalled  Kind = iota + 1 // progress: V did not change within L
	Exceeded                 // level: V > L, or V < L of a minimum
	Pressed                  // pressure: more than L events since the last one handled
	Cleared                  // the condition of a Stalled or Exceeded is gone
	Orphan                   // a watched sensor's owner died without releasing it

	// Of the machine.
	Suspected // activity stalled, or silence of a carrier that needs the CPU
	Failed    // a clock-driven sensor stalled: the declaration
	Recovered // no longer suspected, failed, unreachable or corrupt
	Panicked  // the target stamped its panic
	Fenced    // stopped for good by a fence

	// Of the path and of what answers there.
	HandOver    // no answer and this side's probe fails: a monitor with a good link takes over, if there is one (package fleet)
	Unreachable // no answer, and no way to tell whose fault it is
	Corrupt     // the box breaks its own layout or contract
	Gone        // power lost, killed, unplugged
	Replaced    // another boot
	Withdrawn   // module unloaded or regions withdrawn

	// Of the monitor.
	Late // it was late for longer than an L while that sensor stood still: no T can be promised
)

var kindNames = [...]string{
	Stalled: "stalled", Exceeded: "exceeded", Pressed: "pressed", Cleared: "cleared", Orphan: "orphan",
	Suspected: "suspected", Failed: "failed", Recovered: "recovered", Panicked: "panicked", Fenced: "fenced",
	HandOver: "hand-over", Unreachable: "unreachable", Corrupt: "corrupt", Gone: "gone", Replaced: "replaced",
	Withdrawn: "withdrawn", Late: "late",
}

func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// IsKind reports whether name is a kind of event. Healers are registered for
// some, "failed", as they are for sensors.
func IsKind(name string) bool { return name != "" && slices.Contains(kindNames[:], name) }

// Event is what a Step found. Events of one sensor carry Sensor and the rest.
type Event struct {
	Kind Kind
	At   time.Duration // end of the sample that showed it

	Key         Key
	Sensor      string // its name; "" if the event is of the machine or the path
	Class       Class
	Value       uint64 // V; of a pressure sensor: the counter
	Since       uint64 // pressure: events since the last one handled
	Limit       uint64 // L as it was applied
	TargetLimit uint64 // L as the target's contract says; differs if overridden
	Minimum     bool
	Stall       time.Duration // progress: how long V has not changed; late: how much of it is the monitor's own

	Partial bool   // Failed: some clock still runs, as with one CPU of two hung
	Detail  string // names of stalled sensors, panic text (hostile), defect
}

func (e Event) String() string {
	s := e.Kind.String()
	if e.Sensor != "" {
		s += " " + e.Sensor
	}
	switch e.Kind {
	case Stalled:
		s += fmt.Sprintf(" for %v (L %v)", e.Stall, time.Duration(e.Limit)*time.Microsecond)
	case Exceeded:
		sign := ">"
		if e.Minimum {
			sign = "<"
		}
		s += fmt.Sprintf(" %d %s %d", e.Value, sign, e.Limit)
	case Late:
		s += fmt.Sprintf(" for %v", e.Stall)
	case Pressed:
		s += fmt.Sprintf(" %d new events > %d", e.Since, e.Limit)
	}
	if e.Limit != e.TargetLimit {
		s += fmt.Sprintf(" (target's L %d)", e.TargetLimit)
	}
	if e.Partial {
		s += " in part"
	}
	if e.Detail != "" {
		s += fmt.Sprintf(" %q", e.Detail)
	}
	return s
}
