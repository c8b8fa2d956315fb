// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lazystate/repair/policy"
	"lazystate/sensorbox"
)

// scripted is a healer whose plans, repairs and verdicts are told in advance.
type scripted struct {
	name string
	mu   sync.Mutex
	log  []string
	seen [][]sensorbox.Event

	plan   func(attempt int) (*Plan, error)
	healed func(attempt int) bool
}

func (h *scripted) Name() string { return h.name }

func (h *scripted) note(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log = append(h.log, fmt.Sprintf(format, args...))
}

func (h *scripted) Plan(_ context.Context, in *Incident) (*Plan, error) {
	h.note("plan %d", in.Attempt)
	h.mu.Lock()
	h.seen = append(h.seen, in.Events)
	h.mu.Unlock()
	return h.plan(in.Attempt)
}

func (h *scripted) Apply(_ context.Context, in *Incident, p *Plan) (*Outcome, error) {
	h.note("apply %d", in.Attempt)
	return &Outcome{Killed: 1}, nil
}

func (h *scripted) Verify(_ context.Context, in *Incident, p *Plan, o *Outcome) (*Verdict, error) {
	h.note("verify %d", in.Attempt)
	return &Verdict{Healed: h.healed(in.Attempt)}, nil
}

func culprit(int) (*Plan, error) {
	return &Plan{Diagnosis: policy.Diagnosis{Culprits: []policy.Process{{PID: 5, UID: 7}}, Findings: []policy.Finding{{UID: 7}}}}, nil
}

func always(int) bool { return true }

func event(sensor string) sensorbox.Event {
	return sensorbox.Event{Kind: sensorbox.Exceeded, Sensor: sensor, Class: sensorbox.Level, Value: 2, Limit: 1}
}

// reports are what a dispatcher has told; its goroutines tell while a test looks.
type reports struct {
	mu   sync.Mutex
	told []Report
}

func (r *reports) add(one Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, one)
}

func (r *reports) all() []Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.told)
}

// bubble starts a dispatcher in a bubble of synctest, whose time is its own.
func bubble(t *testing.T, o Options, f func(t *testing.T, d *Dispatcher, reports *reports)) {
	m := newSick(t)
	patient := *m.patient
	synctest.Test(t, func(t *testing.T) {
		var reports reports
		o.Report = reports.add
		d := NewDispatcher(&patient, o)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); d.Run(ctx) }()
		f(t, d, &reports)
		cancel()
		<-done
	})
}

func TestManyToMany(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, d *Dispatcher, reports *reports) {
		a, b := &scripted{name: "a", plan: culprit, healed: always}, &scripted{name: "b", plan: culprit, healed: always}
		hmA, hmB := d.NewHealer(a), d.NewHealer(b)
		d.RegisterSensor(hmA, "X")
		d.RegisterSensor(hmA, "Y")
		d.RegisterSensor(hmB, "Y")
		d.RegisterSensor(hmB, "Y") // twice is once
		for sensor, want := range map[string]int{"X": 1, "Y": 2, "Z": 0} {
			if n := d.Dispatch(event(sensor)); n != want {
				t.Errorf("%s calls %d healers, want %d", sensor, n, want)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(reports.all()) != 2 || len(a.seen) != 1 || len(a.seen[0]) != 2 || len(b.seen[0]) != 1 {
			t.Errorf("%d incidents; a saw %v, b saw %v", len(reports.all()), a.seen, b.seen)
		}
	})
}

func TestEventsCoalesce(t *testing.T) {
	bubble(t, Options{Coalesce: time.Second}, func(t *testing.T, d *Dispatcher, reports *reports) {
		h := &scripted{name: "h", plan: culprit, healed: always}
		d.RegisterSensor(d.NewHealer(h), "X")
		for range 100 {
			d.Dispatch(event("X"))
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(reports.all()) != 1 || len(reports.all()[0].Events) != mostPending {
			t.Fatalf("%d incidents", len(reports.all()))
		}
	})
}

func TestCoolDownDefers(t *testing.T) {
	bubble(t, Options{Coalesce: time.Millisecond, CoolDown: 10 * time.Second}, func(t *testing.T, d *Dispatcher, reports *reports) {
		h := &scripted{name: "h", plan: culprit, healed: always}
		d.RegisterSensor(d.NewHealer(h), "X")
		d.Dispatch(event("X"))
		time.Sleep(time.Second)
		d.Dispatch(event("X"))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if len(reports.all()) != 1 {
			t.Fatalf("%d incidents within the cool-down", len(reports.all()))
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if len(reports.all()) != 2 {
			t.Fatalf("%d incidents after it", len(reports.all()))
		}
	})
}

func TestAttempts(t *testing.T) {
	bubble(t, Options{Coalesce: time.Millisecond, Attempts: 3}, func(t *testing.T, d *Dispatcher, reports *reports) {
		h := &scripted{name: "h", plan: culprit, healed: func(n int) bool { return n == 2 }}
		d.RegisterSensor(d.NewHealer(h), "X")
		never := &scripted{name: "never", plan: culprit, healed: func(int) bool { return false }}
		d.RegisterSensor(d.NewHealer(never), "Y")
		broken := &scripted{name: "broken", plan: func(int) (*Plan, error) { return nil, errors.New("cannot read") }}
		d.RegisterSensor(d.NewHealer(broken), "Z")
		d.Dispatch(event("X"), event("Y"), event("Z"))
		time.Sleep(time.Minute)
		synctest.Wait()
		var got []string
		for _, r := range reports.all() {
			got = append(got, fmt.Sprint(r.Healer, " ", r.Result, " ", r.Attempts, " ", r.Killed))
		}
		slices.Sort(got)
		if want := []string{"broken aborted 3 0", "h healed 2 2", "never unhealed 3 3"}; !slices.Equal(got, want) {
			t.Errorf("reports %q, want %q", got, want)
		}
	})
}

func TestEndsOfEventsCallNobody(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, d *Dispatcher, _ *reports) {
		d.RegisterSensor(d.NewHealer(&scripted{name: "h"}), "X")
		e := event("X")
		for _, k := range []sensorbox.Kind{sensorbox.Cleared, sensorbox.Recovered, sensorbox.Replaced} {
			if e.Kind = k; d.Dispatch(e) != 0 {
				t.Errorf("%v calls a healer", k)
			}
		}
	})
}

func TestRelapsesAreConfirmed(t *testing.T) {
	bubble(t, Options{Coalesce: time.Millisecond}, func(t *testing.T, d *Dispatcher, reports *reports) {
		var confirmed []bool
		h := &recurring{confirmed: &confirmed}
		d.RegisterSensor(d.NewHealer(h), "X")
		for _, gap := range []time.Duration{time.Second, time.Second, time.Second, time.Minute, time.Second} {
			d.Dispatch(event("X"))
			time.Sleep(gap)
		}
		synctest.Wait()
		if want := []bool{false, false, true, true, false}; !slices.Equal(confirmed, want) {
			t.Errorf("confirmed %v, want %v", confirmed, want)
		}
	})
}

// TestInVainIsBounded: a level that stays while nobody is to blame (it may be
// stale) is looked at once a second, not at every sample.
func TestInVainIsBounded(t *testing.T) {
	bubble(t, Options{Coalesce: time.Millisecond}, func(t *testing.T, d *Dispatcher, reports *reports) {
		d.RegisterSensor(d.NewHealer(&recurring{confirmed: new([]bool)}), "X")
		for range 1000 {
			d.Dispatch(event("X"))
			time.Sleep(10 * time.Millisecond)
		}
		if n := len(reports.all()); n < 10 || n > 13 {
			t.Errorf("%d incidents in 10 s", n)
		}
	})
}

// recurring never finds anything to do.
type recurring struct {
	scripted
	confirmed *[]bool
}

func (h *recurring) Plan(_ context.Context, in *Incident) (*Plan, error) {
	*h.confirmed = append(*h.confirmed, in.Confirmed())
	return &Plan{Why: "settled"}, nil
}
