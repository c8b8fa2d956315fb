// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
	"lazystate/sensorbox"
)

// rig is a fake target whose clock ticks every 5 ms, and a monitor on it.
type rig struct {
	*bdtest.Target
	nprocs uint32
	m      *Monitor
	events chan sensorbox.Event
	done   chan error
	stop   context.CancelFunc
}

func addSensors(t *bdtest.Target) (nprocs uint32) {
	t.SetSensor(bdtest.Sensor{Class: uapi.Progress, Flags: uapi.SensorClock, Limit: 300_000, Name: "tick0", Unit: "ticks"})
	t.SetSensor(bdtest.Sensor{Class: uapi.Progress, Limit: 600_000, Name: "ctxt"})
	return t.SetSensor(bdtest.Sensor{Class: uapi.Level, Limit: 300, Value: 10, Name: "NPROCS"})
}

func start(t *testing.T, change func(*rig, *Options), opts ...bdtest.Option) *rig {
	t.Helper()
	r := &rig{Target: bdtest.New(opts...), events: make(chan sensorbox.Event, 1000), done: make(chan error, 1)}
	r.nprocs = addSensors(r.Target)
	o := Options{
		Open:   func(context.Context) (backdoor.Memory, error) { return r.Memory(), nil },
		Sink:   func(_ *backdoor.Target, ev sensorbox.Event) { r.events <- ev },
		Period: 10 * time.Millisecond, Retry: 20 * time.Millisecond,
	}
	if change != nil {
		change(r, &o)
	}
	r.m = New(o)
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			r.Tick(5 * time.Millisecond)
			time.Sleep(5 * time.Millisecond)
		}
	})
	wg.Go(func() { r.done <- r.m.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return r
}

// up waits until the target is watched.
func (r *rig) up(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if st := r.m.Status(); st.Up && st.Samples > 2 {
			return
		}
	}
	t.Fatalf("not watched: %+v", r.m.Status())
}

// want waits for an event of a kind; others before it are returned.
func (r *rig) want(t *testing.T, kind sensorbox.Kind) (sensorbox.Event, []sensorbox.Event) {
	t.Helper()
	var others []sensorbox.Event
	timeout := time.After(time.Minute)
	for {
		select {
		case ev := <-r.events:
			if ev.Kind == kind {
				return ev, others
			}
			others = append(others, ev)
		case <-timeout:
			t.Fatalf("no %v; got %v", kind, others)
		}
	}
}

func TestHangIsDeclared(t *testing.T) {
	r := start(t, nil)
	r.up(t)
	began := time.Now()
	r.Hang(true)
	ev, _ := r.want(t, sensorbox.Failed)
	t.Logf("declared after %v", time.Since(began)) // with what this test, or the fake's clock, was late
	// Generous: the machine that runs this may be loaded. What was late, the monitor says.
	if limit := 300*time.Millisecond + 200*time.Millisecond + 10*r.m.Status().WorstLate; ev.Stall <= 300*time.Millisecond || ev.Stall > limit {
		t.Errorf("declared when it had stood for %v, bound %v", ev.Stall, limit)
	}
	if got := r.m.Status().Verdict; got != sensorbox.Failed {
		t.Errorf("verdict %v", got)
	}
	r.Hang(false)
	r.want(t, sensorbox.Recovered)
}

func TestLevelIsReportedAndAcked(t *testing.T) {
	r := start(t, nil)
	r.up(t)
	r.SetValue(r.nprocs, 500)
	ev, _ := r.want(t, sensorbox.Exceeded)
	if ev.Sensor != "NPROCS" || ev.Value != 500 {
		t.Errorf("event %v", ev)
	}
	r.m.Ack(ev)
	r.want(t, sensorbox.Exceeded) // it still is
}

func TestRebootWithdrawalPowerOff(t *testing.T) {
	r := start(t, nil)
	r.up(t)
	r.Reboot()
	addSensors(r.Target)
	_, others := r.want(t, sensorbox.Replaced)
	noDeath(t, others)
	r.up(t)
	r.Withdraw()
	_, others = r.want(t, sensorbox.Withdrawn)
	noDeath(t, others)
	r.Reboot()
	addSensors(r.Target)
	r.up(t)
	r.PowerOff()
	_, others = r.want(t, sensorbox.Gone)
	noDeath(t, others)
}

// An unloaded module leaves its memory behind, and nothing in it moves.
func TestUnloadedModuleIsNoDeath(t *testing.T) {
	r := start(t, nil)
	r.up(t)
	r.Hang(true)
	r.Withdraw()
	_, others := r.want(t, sensorbox.Withdrawn)
	noDeath(t, others)
}

func noDeath(t *testing.T, events []sensorbox.Event) {
	t.Helper()
	for _, ev := range events {
		if ev.Kind == sensorbox.Failed {
			t.Errorf("declared dead: %v", ev)
		}
	}
}

func TestPanicStamp(t *testing.T) {
	r := start(t, nil)
	r.up(t)
	r.Crash(uapi.PanicPanic, "Fatal exception in interrupt")
	ev, _ := r.want(t, sensorbox.Panicked)
	if !strings.Contains(ev.Detail, "Fatal exception in interrupt") {
		t.Errorf("panic %q", ev.Detail)
	}
	r.want(t, sensorbox.Failed)
}

func TestCorruptBoxIsNoDeath(t *testing.T) {
	r := start(t, nil)
	r.up(t)
	box := r.Area(uapi.KindSensorbox)
	was := r.Peek(box, 8)
	r.Poke(box, make([]byte, 8))
	_, others := r.want(t, sensorbox.Corrupt)
	noDeath(t, others)
	time.Sleep(500 * time.Millisecond)
	r.Poke(box, was)
	_, others = r.want(t, sensorbox.Recovered)
	noDeath(t, others)
}

// probing is a carrier whose own side can be asked.
type probing struct {
	*bdtest.Memory
	err error
}

func (p *probing) Caps() backdoor.Caps {
	c := p.Memory.Caps()
	c.NeedsCPU = true
	return c
}

func (p *probing) Probe(context.Context) error { return p.err }

func TestSilence(t *testing.T) {
	for _, c := range []struct {
		name  string
		probe error
		want  sensorbox.Kind
	}{{"good probe", nil, sensorbox.Suspected}, {"failed probe", errors.New("no carrier"), sensorbox.HandOver}} {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, func(r *rig, o *Options) {
				o.Probe = 20 * time.Millisecond
				o.Open = func(context.Context) (backdoor.Memory, error) {
					return &probing{Memory: r.Memory(), err: c.probe}, nil
				}
			})
			r.up(t)
			r.Memory().Freeze()
			_, others := r.want(t, c.want)
			noDeath(t, others)
			r.Memory().Thaw()
			_, others = r.want(t, sensorbox.Recovered)
			noDeath(t, others)
		})
	}
}

// Reads that are lost now and then change nothing.
func TestLossIsNoFailure(t *testing.T) {
	r := start(t, nil)
	r.up(t)
	for i := range 20 {
		r.Memory().Freeze()
		time.Sleep(15 * time.Millisecond)
		r.Memory().Thaw()
		time.Sleep(time.Duration(20+i) * time.Millisecond)
	}
	if st := r.m.Status(); st.Lost == 0 || st.Verdict != 0 {
		t.Errorf("lost %d, verdict %v", st.Lost, st.Verdict)
	}
}

func TestFrozenByTheLockIsNoFailure(t *testing.T) {
	key := uapi.Key{1}
	r := start(t, nil, bdtest.WithKey(0, key))
	r.up(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	held, err := r.m.Target().Lock(ctx, backdoor.LockOptions{Slot: 0, Key: key, Lease: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(900 * time.Millisecond)
	if err := held.Unlock(ctx); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	if st := r.m.Status(); st.Verdict != 0 {
		t.Errorf("verdict %v", st.Verdict)
	}
	select {
	case ev := <-r.events:
		t.Errorf("event %v", ev)
	default:
	}
}

func TestOpenErrorsAreShown(t *testing.T) {
	r := start(t, func(_ *rig, o *Options) {
		o.Open = func(context.Context) (backdoor.Memory, error) { return nil, errors.New("no such machine") }
	})
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if st := r.m.Status(); strings.Contains(st.Error, "no such machine") && !st.Up {
			return
		}
	}
	t.Errorf("status %+v", r.m.Status())
}

// A path that is too slow for the deadlines is said to be, and tried again.
func TestSlowPathIsTriedAgain(t *testing.T) {
	r := start(t, func(r *rig, _ *Options) { r.Memory().Latency(60 * time.Millisecond) })
	for end := time.Now().Add(time.Minute); !strings.Contains(r.m.Status().Error, "not much greater than a round trip"); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("status %+v", r.m.Status())
		}
	}
	r.Memory().Latency(0)
	r.up(t)
}

// link is a probe of the path that a test turns.
type link struct{ failed atomic.Bool }

func (l *link) Probe(context.Context) error {
	if l.failed.Load() {
		return errors.New("port is down")
	}
	return nil
}

// The path is known by its probe alone, also where reads go on being answered;
// and what stands is told again to who asks for it.
func TestReachAndRetell(t *testing.T) {
	l := &link{}
	r := start(t, func(_ *rig, o *Options) { o.Link, o.Probe = l, 10*time.Millisecond })
	r.up(t)
	reach := func(what string, ok func(Reach) bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !ok(r.m.Reach()); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("never %s: %+v", what, r.m.Reach())
			}
		}
	}
	reach("good", func(v Reach) bool { return v.Open && v.Probe == sensorbox.ProbeGood && v.Period > 0 })
	l.failed.Store(true)
	reach("failed", func(v Reach) bool {
		return v.Probe == sensorbox.ProbeFailed && v.Why == "port is down" && v.Age < time.Second
	})
	l.failed.Store(false)
	reach("good again", func(v Reach) bool { return v.Probe == sensorbox.ProbeGood })
	r.SetValue(r.nprocs, 400)
	for range 2 {
		r.want(t, sensorbox.Exceeded)
		r.m.Retell()
	}
	r.Memory().Freeze()
	reach("silent", func(v Reach) bool { return v.Open && v.Age > 200*time.Millisecond })
	r.Memory().Thaw()
	r.PowerOff()
	reach("closed", func(v Reach) bool { return !v.Open })
	r.m.Retell() // of nothing
}
