// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
	"lazystate/sensorbox"
)

// stir changes a sensor every few milliseconds until the test ends.
func (m *sick) stir(id uint32) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	m.t.Cleanup(func() { cancel(); <-ended })
	go func() {
		defer close(ended)
		for v := uint64(100); ctx.Err() == nil; v++ {
			m.set(id, v)
			time.Sleep(time.Millisecond)
		}
	}()
}

// Whatever calls a healer, the window is kept: what has ended by itself accuses
// nobody, though there is somebody to accuse, and what lasts does.
func TestWindowOfEveryKindOfEvent(t *testing.T) {
	for name, c := range map[string]struct {
		ev             func(m *sick) sensorbox.Event
		settled, lasts func(m *sick)
	}{
		"pressure": {
			func(m *sick) sensorbox.Event { return m.pressed() },
			nil,
			func(m *sick) { m.stir(m.oom) },
		},
		"progress": {
			func(m *sick) sensorbox.Event {
				return sensorbox.Event{Kind: sensorbox.Stalled, Sensor: "BEAT", Class: sensorbox.Progress, Limit: 400_000, TargetLimit: 400_000}
			},
			func(m *sick) { m.stir(m.beat()) },
			func(m *sick) { m.beat() },
		},
		"the machine": {
			func(*sick) sensorbox.Event { return sensorbox.Event{Kind: sensorbox.Failed} },
			func(m *sick) { m.stir(m.beat()) },
			func(m *sick) { m.beat() },
		},
		"an orphan": {
			func(*sick) sensorbox.Event {
				return sensorbox.Event{Kind: sensorbox.Orphan, Sensor: "BEAT", Class: sensorbox.Progress}
			},
			nil, // it was released
			func(m *sick) {
				m.target.SetSensor(bdtest.Sensor{Class: uapi.Progress, Flags: uapi.SensorOrphaned, Limit: 150_000, Name: "BEAT"})
			},
		},
		"a panic": {
			func(*sick) sensorbox.Event { return sensorbox.Event{Kind: sensorbox.Panicked} },
			nil,
			func(m *sick) {},
		},
	} {
		for how, prepare := range map[string]func(*sick){"settled": c.settled, "lasts": c.lasts} {
			if name == "a panic" && how == "settled" {
				continue // nothing comes back from there
			}
			t.Run(name+" "+how, inBubble(func(t *testing.T) {
				m := newSick(t)
				m.bomb(100)
				if prepare != nil {
					prepare(m)
				}
				h := m.healer()
				h.Confirm = Confirm{Window: 500 * time.Millisecond, Every: 2 * time.Millisecond}
				plan, err := h.Plan(t.Context(), &Incident{Patient: m.patient, Events: []sensorbox.Event{c.ev(m)}})
				if err != nil {
					t.Fatal(err)
				}
				if plan.Needed() != (how == "lasts") || plan.Confirm < h.Confirm.Window {
					t.Errorf("%d culprits after %v: %q", len(plan.Culprits), plan.Confirm, plan.Why)
				}
			}))
		}
	}
}

// beat makes a clock of the machine's.
func (m *sick) beat() uint32 {
	return m.target.SetSensor(bdtest.Sensor{Class: uapi.Progress, Flags: uapi.SensorClock, Limit: 400_000, Name: "BEAT"})
}

// A look that fails ends an attempt. It neither confirms what called nor begins
// the window anew.
func TestVigilOutlivesAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, torn, looks := &Incident{Attempt: 1}, errors.New("torn"), 0
		look := func(context.Context) (map[string]float64, error) {
			if looks++; looks == 5 {
				return nil, torn
			}
			return map[string]float64{"X": 2}, nil
		}
		c := Confirm{Window: time.Second, Every: 100 * time.Millisecond}
		if _, took, err := c.watch(t.Context(), in, look); !errors.Is(err, torn) || took >= c.Window {
			t.Fatalf("%v after %v", err, took)
		}
		in.Attempt = 2
		if in.Confirmed() {
			t.Error("a torn look has confirmed the condition")
		}
		if why, took, err := c.watch(t.Context(), in, look); err != nil || why != "" || took != c.Window {
			t.Errorf("%q, %v after %v", why, err, took)
		}
	})
}

// Attempts that fail before they act change nothing of that: the next is not
// spared its window, and one that finds nobody has found nothing to do.
func TestPlanThatFailsConfirmsNothing(t *testing.T) {
	bubble(t, Options{Coalesce: time.Millisecond, Attempts: 3}, func(t *testing.T, d *Dispatcher, reports *reports) {
		var confirmed []bool
		d.RegisterSensor(d.NewHealer(&stumbling{recurring{confirmed: &confirmed}}), "X")
		d.Dispatch(event("X"))
		time.Sleep(time.Minute)
		synctest.Wait()
		if want := []bool{false, false}; !slices.Equal(confirmed, want) {
			t.Errorf("confirmed %v, want %v", confirmed, want)
		}
		if all := reports.all(); len(all) != 1 || all[0].Result != NothingToDo {
			t.Errorf("reports %+v", all)
		}
	})
}

// stumbling fails in its first attempt.
type stumbling struct{ recurring }

func (h *stumbling) Plan(ctx context.Context, in *Incident) (*Plan, error) {
	p, err := h.recurring.Plan(ctx, in)
	if in.Attempt == 1 {
		err = errors.New("torn")
	}
	return p, err
}
