// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
	"lazystate/internal/sampling"
	"lazystate/sensorbox"
)

// A goal that no target can meet ends the monitor, and its status says why.
func TestRefusedGoal(t *testing.T) {
	r := start(t, func(_ *rig, o *Options) { o.PM = 2 })
	select {
	case err := <-r.done:
		var refused *sampling.Refusal
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), "no probability") {
			t.Errorf("got %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the plan was accepted")
	}
	if st := r.m.Status(); st.Up || !strings.Contains(st.Error, "no probability") {
		t.Errorf("status %+v", st)
	}
}

// A period that is too long for the target's L is refused, openly, until the
// target's L is longer.
func TestRefusedPlanIsTriedAgain(t *testing.T) {
	r := start(t, func(_ *rig, o *Options) { o.Loss, o.PM, o.Period = 1e-2, 1e-9, 100*time.Millisecond })
	r.until(t, func(st Status) bool { return strings.Contains(st.Error, "longer than the plan's") })
	r.Reboot()
	r.SetSensor(bdtest.Sensor{Class: uapi.Progress, Flags: uapi.SensorClock, Limit: 5_000_000, Name: "tick0", Unit: "ticks"})
	r.until(t, func(st Status) bool { return st.Up && st.Error == "" && st.Plan.Period == 100*time.Millisecond })
}

// until waits for a status.
func (r *rig) until(t *testing.T, ok func(Status) bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(r.m.Status()); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("status %+v", r.m.Status())
		}
	}
}

// A sensor with a shorter deadline that appears later is sampled often enough
// for it at once, without a new session; when it goes, so does the haste.
func TestLaterSensorShortensPeriod(t *testing.T) {
	r := start(t, func(_ *rig, o *Options) { o.Period = 0 })
	r.up(t)
	slow := r.m.Status()
	quick := r.SetSensor(bdtest.Sensor{Class: uapi.Progress, Limit: 60_000, Name: "quick"})
	r.until(t, func(st Status) bool { return st.Plan.Period < 60*time.Millisecond })
	if st := r.m.Status(); st.Plan.Period >= slow.Plan.Period || st.Samples < slow.Samples {
		t.Errorf("before %+v, after %+v", slow, st)
	}
	r.Hang(true)
	ev, others := r.want(t, sensorbox.Stalled)
	noDeath(t, others)
	if ev.Sensor != "quick" || ev.Stall > 250*time.Millisecond+10*r.m.Status().WorstLate {
		t.Errorf("%v after %v", ev, ev.Stall)
	}
	r.Hang(false)
	r.RemoveSensor(quick)
	r.until(t, func(st Status) bool { return st.Plan.Period > 250*time.Millisecond })
}

// A deadline that this path cannot keep ends the session and is told.
func TestLaterSensorIsRefused(t *testing.T) {
	r := start(t, nil)
	r.up(t)
	quick := r.SetSensor(bdtest.Sensor{Class: uapi.Progress, Limit: 5_000, Name: "quick"})
	r.until(t, func(st Status) bool { return !st.Up && strings.Contains(st.Error, "deadline of 5ms") })
	r.RemoveSensor(quick)
	r.up(t)
}

// What a user writes as L, even a microsecond, does not end the watch over the
// machine: its own deadlines are kept, and the sensor is named.
func TestUsersDeadlineBlindsNobody(t *testing.T) {
	const name = "quick"
	r := start(t, func(_ *rig, o *Options) { o.Detector.Rules = map[string]sensorbox.Rule{name: {}} })
	r.up(t)
	before := r.m.Status().Plan
	r.SetSensor(bdtest.Sensor{ID: 1000<<16 | 1, Class: uapi.Progress, Flags: uapi.SensorUser, Limit: 1, Name: "quick"})
	r.until(t, func(st Status) bool { return slices.Equal(st.Unkept, []string{name}) })
	if st := r.m.Status(); !st.Up || st.Error != "" || st.Plan != before {
		t.Errorf("before %+v, now %+v", before, st)
	}
	r.Hang(true)
	for ev := (sensorbox.Event{}); ev.Kind != sensorbox.Failed; {
		select {
		case ev = <-r.events:
		case <-time.After(time.Minute):
			t.Fatal("the machine's own failure is not declared")
		}
	}
}

// queued is a carrier with ordered queues, as RDMA is.
type queued struct {
	*bdtest.Memory
	queues int
}

func (q queued) Caps() backdoor.Caps {
	c := q.Memory.Caps()
	c.Stall, c.Queues = 400*time.Millisecond, q.queues
	return c
}

// DECISION 25: a deadline that one lost packet would break is refused on a single
// queue, and kept where each sample has its own.
func TestCarriersQueuesCount(t *testing.T) {
	for queues, refused := range map[int]bool{1: true, 4: false} {
		r := start(t, func(r *rig, o *Options) {
			o.Open = func(context.Context) (backdoor.Memory, error) { return queued{r.Memory(), queues}, nil }
		})
		r.until(t, func(st Status) bool {
			return refused && strings.Contains(st.Error, "stalls the only queue") || !refused && st.Up && st.Samples > 2
		})
	}
}
