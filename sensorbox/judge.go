// SPDX-License-Identifier: Apache-2.0

package sensorbox

import (
	"fmt"
	"strings"
	"time"
)

// judge applies Table 3.1 to one sensor, and takes it into the census.
func (d *Detector) judge(st *state, s *Sensor, in *Input, c *census, out []Event) []Event {
	was := st.firing
	switch st.contract.Class {
	case Progress:
		d.progress(st, s, in)
		c.take(st)
		c.excuse(st, d.late-st.lateAt)
	case Level:
		if st.contract.Flags&Minimum != 0 {
			st.firing = s.Value < st.limit
		} else {
			st.firing = s.Value > st.limit
		}
	case Pressure:
		if s.Value < st.handled { // the counter began anew
			st.handled = 0
		}
		st.firing = s.Value-st.handled > st.limit
	}
	st.value = s.Value
	st.firing = st.firing && st.watched && !st.broken
	switch {
	case st.firing && !st.told:
		st.told = true
		out = append(out, st.event(firingKind(st.contract.Class), in))
	case !st.firing && was && st.contract.Class != Pressure:
		st.told = false
		out = append(out, st.event(Cleared, in))
	case !st.firing:
		st.told = false
	}
	if orphan := s.Flags&Orphaned != 0; orphan != st.orphan {
		if st.orphan = orphan; orphan && st.watched {
			out = append(out, st.event(Orphan, in))
		}
	}
	return out
}

func firingKind(c Class) Kind {
	switch c {
	case Progress:
		return Stalled
	case Level:
		return Exceeded
	}
	return Pressed
}

// progress measures the stall: what surely passed between the two samples that
// saw the same value, less the time this side was late, for whatever stopped
// the monitor may have stopped the target's host with it.
func (d *Detector) progress(st *state, s *Sensor, in *Input) {
	if s.Value != st.value || d.frozen.on {
		st.changed, st.lateAt, st.stall, st.firing = in.End, d.late, 0, false
		return
	}
	st.stall = max(in.Start-st.changed-(d.late-st.lateAt), 0)
	st.firing = st.stall > micros(st.limit)
}

func (st *state) event(k Kind, in *Input) Event {
	c := &st.contract
	ev := Event{
		Kind: k, At: in.End, Key: c.Key, Sensor: c.name, Class: c.Class, Value: st.value,
		Limit: st.limit, TargetLimit: c.Limit, Minimum: c.Flags&Minimum != 0,
	}
	switch c.Class {
	case Progress:
		ev.Stall = st.stall
	case Pressure:
		ev.Since = st.value - min(st.handled, st.value)
	}
	return ev
}

// census counts the machine's progress sensors: user space speaks for itself
// only, except by the heartbeat.
type census struct {
	clocks, stalledClocks int
	stalledActivity       int

	excused time.Duration // the monitor's own lateness that keeps a stall from being told
	who     string        // its sensor
}

// excuse notes a stall that would be told if the monitor had been on time. One
// that is always late would wait for ever, and has to say so.
func (c *census) excuse(st *state, late time.Duration) {
	l := micros(st.limit)
	if st.watched && !st.broken && st.stall <= l && st.stall+late > l && late > max(l, c.excused) {
		c.excused, c.who = late, st.contract.name
	}
}

// lateness tells once that the monitor's own delays hide stalls.
func (d *Detector) lateness(c *census, in *Input, out []Event) []Event {
	told := d.hides
	d.hides = c.excused > 0
	if told || !d.hides {
		return out
	}
	return append(out, Event{Kind: Late, At: in.End, Stall: c.excused, Detail: c.who})
}

func (c *census) take(st *state) {
	flags := st.contract.Flags
	if !st.watched || st.broken || flags&User != 0 && flags&Heartbeat == 0 {
		return
	}
	stalled := st.stall > micros(st.limit)
	switch {
	case flags&Clock != 0 && flags&User == 0:
		c.clocks++
		if stalled {
			c.stalledClocks++
		}
	case stalled:
		c.stalledActivity++
	}
}

// conclude turns the census into the machine's verdict.
func (d *Detector) conclude(c *census, in *Input, out []Event) []Event {
	verdict, partial := Kind(0), false
	switch {
	case c.stalledClocks > 0:
		verdict, partial = Failed, c.stalledClocks < c.clocks
	case c.stalledActivity > 0:
		verdict = Suspected
	}
	was, silent := d.verdict, d.path != 0
	same := verdict == was && partial == d.partial
	d.path, d.verdict, d.partial = 0, verdict, partial
	switch {
	case verdict == 0 && (was != 0 || silent):
		return append(out, Event{Kind: Recovered, At: in.End})
	case same:
		return out
	}
	return append(out, Event{Kind: verdict, At: in.End, Stall: d.longest(), Partial: partial, Detail: d.stalledNames()})
}

func (d *Detector) longest() time.Duration {
	longest := time.Duration(0)
	for _, st := range d.bound {
		if st.firing && st.contract.Class == Progress {
			longest = max(longest, st.stall)
		}
	}
	return longest
}

// mostNames bounds the names in an event: a box has room for hundreds.
const mostNames = 16

func (d *Detector) stalledNames() string {
	var names []string
	more := 0
	for _, st := range d.bound {
		switch {
		case !st.firing || st.contract.Class != Progress:
		case len(names) < mostNames:
			names = append(names, st.contract.name)
		default:
			more++
		}
	}
	if more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, " ")
}
