// SPDX-License-Identifier: Apache-2.0

package sensorbox

import (
	"time"

	"lazystate/backdoor/uapi"
)

// state is what the detector remembers of one sensor.
type state struct {
	contract Sensor
	limit    uint64 // L as applied
	watched  bool
	broken   bool // its record changed without a new generation: the old contract stands

	value   uint64
	changed time.Duration // end of the sample that first saw value
	lateAt  time.Duration // Detector.late at that moment
	stall   time.Duration
	handled uint64 // pressure: value at the last event handled
	firing  bool
	told    bool // the event for this firing has been given
	orphan  bool
}

// mostStates is more than a box and all pages of users hold at once.
const mostStates = mostRecords + uapi.UserPages*uapi.UserCapacity

// bind matches the states with the sensors of a view whose shape has changed.
// The contract of a sensor is fixed when it is made; a record that says
// otherwise within one generation of its page is damaged, not renegotiated.
func (d *Detector) bind(in *Input, out []Event) []Event {
	v := in.View
	if d.view == v && d.shape == v.Shape {
		return d.mended(in, out)
	}
	why := d.defect(v)
	note := func(text string) {
		if why == "" {
			why = text
		}
	}
	d.bound = d.bound[:0]
	seen := make(map[Key]bool, len(v.Sensors))
	for i := range v.Sensors {
		s := &v.Sensors[i]
		seen[s.Key] = true
		st := d.states[s.Key]
		same := d.gens[s.Page] == v.generations[s.Page]
		switch {
		case st == nil, !st.contract.sameContract(s) && !same:
			st = d.newState(s, in)
		case !st.contract.sameContract(s):
			st.broken = true
			note("sensor " + st.contract.name + ": its contract changed within a generation")
		default:
			st.broken = false
		}
		d.bound = append(d.bound, st)
	}
	for key, st := range d.states {
		switch {
		case seen[key]:
		case d.gens[key.Page] != v.generations[key.Page], key.Page > 0 && !st.watched:
			delete(d.states, key)
		default:
			note("sensor " + st.contract.name + " vanished without a release")
			if len(d.states) > mostStates { // a box that gives new names without end
				delete(d.states, key)
			}
		}
	}
	d.view, d.shape, d.gens = v, v.Shape, v.generations
	if why == "" {
		return d.mended(in, out)
	}
	if d.damaged && why == d.why {
		return out
	}
	d.damaged, d.why = true, why
	return append(out, Event{Kind: Corrupt, At: in.End, Detail: why})
}

// defect returns the first defect that matters: of the kernel's box, or of a
// page with a watched sensor. What other users scribble is theirs.
func (d *Detector) defect(v *View) string {
	for _, df := range v.Defects {
		if df.Page == 0 {
			return df.String()
		}
		for key, st := range d.states {
			if key.Page == df.Page && st.watched {
				return df.String()
			}
		}
	}
	return ""
}

// mended ends a Corrupt once the box is whole again.
func (d *Detector) mended(in *Input, out []Event) []Event {
	if !d.damaged || d.defect(in.View) != "" || !d.whole() {
		return out
	}
	d.damaged, d.why = false, ""
	return append(out, Event{Kind: Recovered, At: in.End, Detail: "the box is whole again"})
}

// whole: every sensor that matters is in the view, under its own contract.
func (d *Detector) whole() bool {
	present := make(map[*state]bool, len(d.bound))
	for _, st := range d.bound {
		if st.broken {
			return false
		}
		present[st] = true
	}
	for key, st := range d.states {
		if !present[st] && (key.Page == 0 || st.watched) {
			return false
		}
	}
	return true
}

// newState starts the observation of s: nothing that happened before the
// monitor looked is an event to be handled.
func (d *Detector) newState(s *Sensor, in *Input) *state {
	st := &state{contract: *s, value: s.Value, changed: in.End, lateAt: d.late, handled: s.Value}
	st.limit, st.watched = d.cfg.limit(s)
	d.states[s.Key] = st
	return st
}
