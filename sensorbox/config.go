// SPDX-License-Identifier: Apache-2.0

package sensorbox

import (
	"maps"
	"slices"
	"time"
)

// Rule is what the configuration says about one sensor, openly overriding the
// target's contract. Naming a user sensor makes it more than informative.
type Rule struct {
	Limit  *uint64 // L; nil: the target's; 0: no threshold
	Ignore bool
}

// Config of a Detector.
type Config struct {
	Period   time.Duration   // between samples; a lateness below Period/8 is jitter
	Rules    map[string]Rule // by Sensor.Name
	Expect   []string        // further names that somebody counts on
	NeedsCPU bool            // the carrier answers only while some CPU of the target runs
	Silence  time.Duration   // no answer for so long is an event; 0: the least deadline, else 1 s
	Kept     time.Duration   // the least L of a user sensor that the plan keeps; 0: any
	Freeze   time.Duration   // longest freeze that is believed without a renewal, whatever the lease; 0: the longest lease and a second
}

const (
	longestLease   = 60 * time.Second // of struct bd_lock_req
	defaultSilence = time.Second
)

func (c Config) jitter() time.Duration { return c.Period / 8 }

func (c Config) freeze() time.Duration {
	if c.Freeze > 0 {
		return c.Freeze
	}
	return longestLease + leaseGrace
}

// limit returns L as applied to s, and whether s is watched at all.
func (c Config) limit(s *Sensor) (uint64, bool) {
	r, named := c.Rules[s.Name()]
	if r.Ignore || s.Flags&User != 0 && !named {
		return s.Limit, false
	}
	if r.Limit != nil {
		return *r.Limit, *r.Limit != 0
	}
	return s.Limit, s.Limit != 0
}

// LeastDeadline returns T of §3.4.2: the least L of the watched progress
// sensors, 0 if there is none. A user sensor's L below Kept does not count: an
// unprivileged process wrote it.
func (c Config) LeastDeadline(v *View) time.Duration {
	least := time.Duration(0)
	for i := range v.Sensors {
		d, kept := c.deadline(&v.Sensors[i])
		if kept && (least == 0 || d < least) {
			least = d
		}
	}
	return least
}

// deadline returns L of a watched progress sensor, 0 for others.
func (c Config) deadline(s *Sensor) (l time.Duration, kept bool) {
	us, watched := c.limit(s)
	if s.Class != Progress || !watched {
		return 0, false
	}
	return micros(us), s.Flags&User == 0 || micros(us) >= c.Kept
}

// Unkept returns the watched user sensors whose L is below Kept: they are
// judged as often as the others allow.
func (c Config) Unkept(v *View) []string {
	var names []string
	for i := range v.Sensors {
		if l, kept := c.deadline(&v.Sensors[i]); l > 0 && !kept {
			names = append(names, v.Sensors[i].Name())
		}
	}
	return names
}

// Unknown returns, sorted, the names in Rules and Expect that no sensor of the
// view has.
func (c Config) Unknown(v *View) []string {
	names := slices.Concat(slices.Collect(maps.Keys(c.Rules)), c.Expect)
	slices.Sort(names)
	names = slices.Compact(names)
	return slices.DeleteFunc(names, func(name string) bool {
		return slices.ContainsFunc(v.Sensors, func(s Sensor) bool { return s.Name() == name })
	})
}

// micros turns a deadline into a duration; longer than a day is a day.
func micros(us uint64) time.Duration {
	return time.Duration(min(us, longestDeadline)) * time.Microsecond
}
