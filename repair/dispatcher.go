// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"lazystate/sensorbox"
)

var errNoAudit = errors.New("no audit log")

// Options of a Dispatcher.
type Options struct {
	Coalesce time.Duration // events within it make one incident; 200 ms if 0
	CoolDown time.Duration // after a repair, before the same healer runs again; 5 s if 0
	Attempts int           // repairs of one incident before it is given up; 5 if 0
	Bound    time.Duration // most time of one attempt; 2 min if 0

	// Report, if set, gets every incident's end, from the dispatcher's goroutine.
	Report func(Report)
}

// WithDefaults fills in what is 0.
func (o Options) WithDefaults() Options {
	if o.Coalesce == 0 {
		o.Coalesce = 200 * time.Millisecond
	}
	if o.CoolDown == 0 {
		o.CoolDown = 5 * time.Second
	}
	if o.Attempts == 0 {
		o.Attempts = 5
	}
	if o.Bound == 0 {
		o.Bound = 2 * time.Minute
	}
	return o
}

// Dispatcher is the event dispatcher (ED, §3.7.1) of one target. It knows
// which healers care for which sensors and nothing of what they do. Healers of
// a target run one after the other: there is one OS lock.
type Dispatcher struct {
	patient *Patient
	opt     Options

	mu      sync.Mutex
	healers []*HM
	sensors map[string][]*HM
	wake    chan struct{}
	serial  int
}

// HM is a registered healing module.
type HM struct {
	healer  Healer
	pending []sensorbox.Event
	due     time.Time // when the pending events may be handled
	quiet   time.Time // end of the cool-down
	merged  int       // events that fell together with others
	settled []time.Time
}

// relapses counts the settled incidents that are not long ago.
func (hm *HM) relapses(now time.Time) int {
	hm.settled = slices.DeleteFunc(hm.settled, func(t time.Time) bool { return now.Sub(t) > relapseWithin })
	return len(hm.settled)
}

// NewDispatcher returns the dispatcher of a target.
func NewDispatcher(p *Patient, o Options) *Dispatcher {
	return &Dispatcher{patient: p, opt: o.WithDefaults(), sensors: map[string][]*HM{}, wake: make(chan struct{}, 1)}
}

// NewHealer is new_hm: it registers a healing module that has no sensors yet.
func (d *Dispatcher) NewHealer(h Healer) *HM {
	hm := &HM{healer: h}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.healers = append(d.healers, hm)
	return hm
}

// RegisterSensor is register_sensor: hm is called for events of the sensor. A
// healer may have many sensors, a sensor many healers. Events of the machine
// as a whole go by the name of their kind: "failed", "panicked", "fenced".
func (d *Dispatcher) RegisterSensor(hm *HM, sensor string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Contains(d.sensors[sensor], hm) {
		d.sensors[sensor] = append(d.sensors[sensor], hm)
	}
}

// mostPending bounds the events of one incident that are kept as evidence.
const mostPending = 64

// Dispatch takes events of the detector and returns how many healers they
// concern. It never waits.
func (d *Dispatcher) Dispatch(events ...sensorbox.Event) int {
	now := time.Now()
	called := map[*HM]bool{}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range events {
		if !calls(e.Kind) {
			continue
		}
		for _, hm := range d.sensors[cmp.Or(e.Sensor, e.Kind.String())] {
			called[hm] = true
			if len(hm.pending) == 0 {
				hm.due = now.Add(d.opt.Coalesce)
			} else {
				hm.merged++
			}
			if len(hm.pending) < mostPending {
				hm.pending = append(hm.pending, e)
			}
		}
	}
	if len(called) > 0 {
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
	return len(called)
}

// calls reports whether an event asks for a healer: others tell of an end.
func calls(k sensorbox.Kind) bool {
	switch k {
	case sensorbox.Stalled, sensorbox.Exceeded, sensorbox.Pressed, sensorbox.Orphan, sensorbox.Suspected, sensorbox.Failed, sensorbox.Panicked, sensorbox.Fenced:
		return true
	}
	return false
}

// Run handles incidents until ctx ends or the target is lost.
func (d *Dispatcher) Run(ctx context.Context) error {
	for {
		hm, events, wait := d.next(time.Now())
		if hm != nil {
			if err := d.handle(ctx, hm, events); Lost(err) || ctx.Err() != nil {
				return err
			}
			continue
		}
		if err := d.pause(ctx, wait); err != nil {
			return err
		}
	}
}

func (d *Dispatcher) pause(ctx context.Context, wait time.Duration) error {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-d.wake:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// idle is how long Run sleeps when nothing is pending; Dispatch wakes it.
const idle = time.Hour

// next takes the events of the healer that is due first, or says how long to wait.
func (d *Dispatcher) next(now time.Time) (*HM, []sensorbox.Event, time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	wait := idle
	for _, hm := range d.healers {
		if len(hm.pending) == 0 {
			continue
		}
		due := hm.due
		if hm.quiet.After(due) {
			due = hm.quiet
		}
		if left := due.Sub(now); left > 0 {
			wait = min(wait, left)
			continue
		}
		events := hm.pending
		hm.pending = nil
		return hm, events, 0
	}
	return nil, nil, wait
}

// handle runs one incident to its end. Events that come meanwhile are kept: if
// they still hold after the cool-down they are an incident of their own.
func (d *Dispatcher) handle(ctx context.Context, hm *HM, events []sensorbox.Event) error {
	d.serial++
	in := &Incident{
		ID: fmt.Sprintf("%s-%d-%d", d.patient.Name, time.Now().Unix(), d.serial), Patient: d.patient,
		Events: events, Began: time.Now(), healer: hm.healer.Name(), Relapses: hm.relapses(time.Now()),
	}
	r := d.treat(ctx, hm.healer, in)
	rest := d.opt.CoolDown
	if r.Result == NothingToDo { // what did nothing needs no time to take effect
		hm.settled = append(hm.settled, time.Now())
		rest = 0
		if in.Confirmed() { // the level stays, and nobody is to blame: not at every sample
			rest = min(d.opt.CoolDown, inVain)
		}
	} else {
		hm.settled = nil
	}
	d.mu.Lock()
	hm.quiet = time.Now().Add(rest)
	d.mu.Unlock()
	if d.opt.Report != nil {
		d.opt.Report(r)
	}
	return r.Err
}

// Registered returns the names of the healers.
func (d *Dispatcher) Registered() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var names []string
	for _, hm := range d.healers {
		names = append(names, hm.healer.Name())
	}
	return names
}
