// SPDX-License-Identifier: Apache-2.0

package sensorbox

import (
	"time"

	"lazystate/backdoor/uapi"
)

// Outcome of one read of the box.
type Outcome uint8

const (
	Answered    Outcome = iota + 1
	NoAnswer            // nothing in its slot
	Damaged             // an answer that is no Sensor Box
	IsGone              // the carrier knows: power lost, killed
	IsReplaced          // another boot id
	IsWithdrawn         // generation 0 or changed
)

// Probe of the monitor's own side of the path (§3.4.2).
type Probe uint8

const (
	ProbeUnknown Probe = iota // not made, or the carrier cannot
	ProbeGood
	ProbeFailed
)

// Lock is what the sample saw of the target's repair lock.
type Lock struct {
	State    uint32 // enum bd_lock_state
	LeaseEnd uint64 // ns of the target's clock
	Grants   uint64 // since the module was loaded
}

// Input is one sample. Times count from any fixed moment of the monitor's
// monotonic clock.
type Input struct {
	Start, End time.Duration // of the read
	Late       time.Duration // how much later than planned the read started
	Outcome    Outcome
	View       *View  // with Answered
	Lock       Lock   // with Answered; zero if not read
	Panic      string // with Answered; "" if there is no stamp
	Probe      Probe  // with NoAnswer
	Why        string // with any other outcome than Answered
}

// Detector watches one boot of one target. It is not safe for concurrent use.
type Detector struct {
	cfg    Config
	states map[Key]*state
	bound  []*state // parallel to the view's sensors
	view   *View
	shape  uint64
	gens   [1 + uapi.UserPages]uint64

	late     time.Duration // sum of lateness beyond jitter
	hides    bool          // the lateness hides a stall, and that was told
	answered time.Duration // end of the last answer
	started  bool
	path     Kind // HandOver, Unreachable, Suspected (silence) or 0
	damaged  bool
	why      string // of the damage
	panicked bool
	fenced   bool
	ended    bool // Gone, Replaced, Withdrawn: nothing more comes
	frozen   freeze
	verdict  Kind // Suspected, Failed or 0
	partial  bool
}

// NewDetector returns a detector that has seen nothing.
func NewDetector(cfg Config) *Detector {
	return &Detector{cfg: cfg, states: map[Key]*state{}}
}

// SetPlan tells that samples come in another period from now on, and which
// deadlines of users it keeps.
func (d *Detector) SetPlan(period, kept time.Duration) { d.cfg.Period, d.cfg.Kept = period, kept }

// Step takes one sample and appends its events to out.
func (d *Detector) Step(in Input, out []Event) []Event {
	if d.ended {
		return out
	}
	if !d.started {
		d.started, d.answered = true, in.Start
	}
	if in.Late > d.cfg.jitter() {
		d.late += in.Late
	}
	switch in.Outcome {
	case Answered:
		return d.answer(&in, out)
	case NoAnswer:
		return d.silence(&in, out)
	case Damaged:
		return d.damage(&in, out)
	case IsGone:
		return d.end(Gone, &in, out)
	case IsReplaced:
		return d.end(Replaced, &in, out)
	case IsWithdrawn:
		return d.end(Withdrawn, &in, out)
	}
	return out
}

func (d *Detector) end(k Kind, in *Input, out []Event) []Event {
	d.ended = true
	return append(out, Event{Kind: k, At: in.End, Detail: in.Why})
}

func (d *Detector) damage(in *Input, out []Event) []Event {
	d.answered = in.End
	if d.damaged {
		return out
	}
	d.damaged, d.why = true, in.Why
	return append(out, Event{Kind: Corrupt, At: in.End, Detail: in.Why})
}

// silence is a read without an answer: whose fault is it? One lost read says
// nothing unless this side's own probe fails too.
func (d *Detector) silence(in *Input, out []Event) []Event {
	if in.Probe == ProbeFailed {
		return d.setPath(HandOver, in, out)
	}
	if in.End-d.answered < d.patience() {
		return out
	}
	if in.Probe == ProbeGood && d.cfg.NeedsCPU {
		return d.setPath(Suspected, in, out)
	}
	return d.setPath(Unreachable, in, out)
}

func (d *Detector) setPath(k Kind, in *Input, out []Event) []Event {
	if d.path == k {
		return out
	}
	d.path = k
	return append(out, Event{Kind: k, At: in.End, Stall: in.End - d.answered, Detail: in.Why})
}

func (d *Detector) patience() time.Duration {
	if d.cfg.Silence > 0 {
		return d.cfg.Silence
	}
	if d.view != nil {
		if t := d.cfg.LeastDeadline(d.view); t > 0 {
			return t
		}
	}
	return defaultSilence
}

func (d *Detector) answer(in *Input, out []Event) []Event {
	d.answered = in.End
	if in.Panic != "" && !d.panicked {
		d.panicked = true
		out = append(out, Event{Kind: Panicked, At: in.End, Detail: in.Panic})
	}
	out = d.bind(in, out)
	out = d.freezing(in, out)
	var c census
	for i := range in.View.Sensors {
		out = d.judge(d.bound[i], &in.View.Sensors[i], in, &c, out)
	}
	return d.conclude(&c, in, d.lateness(&c, in, out))
}

// Ack says that ev has been handled: pressure is counted from its value, and a
// condition that persists is reported again.
func (d *Detector) Ack(ev Event) {
	st := d.states[ev.Key]
	if st == nil || ev.Sensor == "" {
		return
	}
	if ev.Kind == Pressed {
		st.handled = ev.Value
	}
	if ev.Kind == Pressed || ev.Kind == Exceeded || ev.Kind == Stalled {
		st.told = false
	}
}

// Retell makes the next Step report whatever stands: there is somebody new who
// acts on events, and has not been told those that came before.
func (d *Detector) Retell() {
	for _, st := range d.states {
		st.told = false
	}
	d.path, d.verdict, d.partial, d.panicked, d.damaged, d.fenced = 0, 0, false, false, false, false
}

// Reading is a sensor as the detector sees it, for people.
type Reading struct {
	Sensor
	Applied uint64 // L after overrides
	Watched bool
	Firing  bool
	Stall   time.Duration // progress: at the last sample
	Since   uint64        // pressure: events since the last one handled
}

// Readings describes the last view.
func (d *Detector) Readings() []Reading {
	if d.view == nil {
		return nil
	}
	readings := make([]Reading, 0, len(d.bound))
	for i, st := range d.bound {
		if i >= len(d.view.Sensors) || st == nil {
			continue
		}
		s := d.view.Sensors[i]
		r := Reading{Sensor: s, Applied: st.limit, Watched: st.watched, Firing: st.firing}
		switch s.Class {
		case Progress:
			r.Stall = st.stall
		case Pressure:
			r.Since = s.Value - min(st.handled, s.Value)
		}
		readings = append(readings, r)
	}
	return readings
}

// Verdict on the machine: 0 (nothing against it), Suspected or Failed.
func (d *Detector) Verdict() Kind { return max(d.verdict, d.silenceVerdict()) }

func (d *Detector) silenceVerdict() Kind {
	if d.path == Suspected {
		return Suspected
	}
	return 0
}
