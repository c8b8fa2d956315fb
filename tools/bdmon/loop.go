// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/repair"
	"lazystate/sensorbox"
	"lazystate/sensorbox/fleet"
	"lazystate/sensorbox/monitor"
	"lazystate/tools/bdmon/config"
)

// roll is where this monitor's epochs come from, and what its ownerships rest
// on besides the targets' places.
type roll interface {
	// Number is a claim to own a target, with an epoch above one; until when it
	// is proven, 0 if it has no end. *backdoor.OwnedError: another owns it.
	Number(ctx context.Context, target string, above uint64) (epoch uint64, until time.Duration, err error)
	Proof(target string, epoch uint64) (until time.Duration, err error)
	Abandon(ctx context.Context, target string, epoch uint64) error
}

// byPlace is the roll of monitors that meet by themselves: the place alone decides.
type byPlace struct{}

func (byPlace) Number(_ context.Context, _ string, above uint64) (uint64, time.Duration, error) {
	return above + 1, 0, nil
}
func (byPlace) Proof(string, uint64) (time.Duration, error)   { return 0, nil }
func (byPlace) Abandon(context.Context, string, uint64) error { return nil }

// loop runs the pure half of the fleet: what happens goes in, in one order, and
// what is to be done is given to the targets' watches and to the other monitors.
type loop struct {
	d    *daemonState
	cfg  fleet.Config
	m    *fleet.Member // of the loop's goroutine alone
	roll roll
	talk []talker

	paths map[string]fleet.Link // as they were told last
	seats map[string][]string   // monitors by the target that they run on

	mu    sync.Mutex
	queue []any // fleet.Input or func()
	wake  chan struct{}
	ended chan struct{}
}

// talker brings this monitor's reports to the others.
type talker interface {
	Tell(*fleet.Report)
	Close() error
}

func newLoop(d *daemonState, cfg *config.Config) *loop {
	l := &loop{
		d: d, roll: byPlace{}, paths: map[string]fleet.Link{}, seats: map[string][]string{},
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	l.cfg = cfg.Member(ownName())
	l.cfg.Targets = nil // they come with apply
	l.m = fleet.NewMember(l.cfg)
	if cfg.Fleet != nil {
		for _, m := range cfg.Fleet.Monitors {
			if m.Target != "" && m.Name != l.cfg.Self {
				l.seats[m.Target] = append(l.seats[m.Target], m.Name)
			}
		}
	}
	return l
}

// fleetClock goes on while the machine sleeps: a lease does too.
func fleetClock() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("clock_gettime(CLOCK_BOOTTIME): " + err.Error()) // cannot fail on Linux
	}
	return time.Duration(ts.Nano())
}

// tell gives the loop an input. It never waits.
func (l *loop) tell(in fleet.Input) { l.post(in) }

// do runs f in the loop and waits for it; it does nothing when the loop has ended.
func (l *loop) do(f func()) {
	done := make(chan struct{})
	l.post(func() { f(); close(done) })
	select {
	case <-done:
	case <-l.ended:
	}
}

func (l *loop) post(what any) {
	l.mu.Lock()
	l.queue = append(l.queue, what)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *loop) take() []any {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.queue
	l.queue = nil
	return all
}

// slowestLook bounds how long a change of a path is not noticed.
const slowestLook = 100 * time.Millisecond

func (l *loop) run(ctx context.Context) {
	defer close(l.ended)
	tick := time.NewTicker(min(l.cfg.Beat()/4, slowestLook))
	defer tick.Stop()
	for {
		for _, what := range l.take() {
			switch what := what.(type) {
			case fleet.Input:
				l.step(what)
			case func():
				what()
			}
		}
		select {
		case <-l.wake:
		case <-tick.C:
			l.look()
			l.step(fleet.Tick{})
		case <-ctx.Done():
			return
		}
	}
}

func (l *loop) step(in fleet.Input) {
	for _, a := range l.m.Step(fleetClock(), in) {
		l.act(a)
	}
}

// act never waits for a target, a disk or another monitor.
func (l *loop) act(a fleet.Action) {
	switch a := a.(type) {
	case fleet.Claim:
		l.duty(a.Target, fleet.Refused{Target: a.Target, Ask: a.Ask, Why: "it is not watched"}, func(w *watch) { w.claim(a) })
	case fleet.Renew:
		l.duty(a.Target, nil, func(w *watch) { w.renew(a) })
	case fleet.Serve:
		l.duty(a.Target, nil, func(w *watch) { w.serve(a.Epoch) })
	case fleet.Yield:
		if w := l.d.find(a.Target); w != nil {
			w.cut(a.Epoch)
		}
		l.duty(a.Target, fleet.Released{Target: a.Target, Epoch: a.Epoch}, func(w *watch) {
			w.endTerm(a.Why, a.Heir)
			l.tell(fleet.Released{Target: a.Target, Epoch: a.Epoch})
		})
	case fleet.Tell:
		for _, t := range l.talk {
			t.Tell(a.Report)
		}
	}
}

// duty gives a target's watch something to do; without one, none is the answer.
func (l *loop) duty(target string, none fleet.Input, what func(*watch)) {
	if w := l.d.find(target); w != nil {
		w.duties.post(func() { what(w) })
	} else if none != nil {
		l.tell(none)
	}
}

// look tells of paths that have changed.
func (l *loop) look() {
	for _, w := range l.d.sorted() {
		now := fleet.Link{Target: w.cfg.Name, Path: pathOf(w.mon.Reach())}
		if t := w.mon.Target(); t != nil {
			now.Boot = t.BootID().String()
		}
		if l.paths[w.cfg.Name] != now {
			l.paths[w.cfg.Name] = now
			l.step(now)
		}
	}
}

// leastSilence is how long a target may be unanswered before its path is called silent.
const leastSilence = 500 * time.Millisecond

func pathOf(r monitor.Reach) fleet.Path {
	switch {
	case !r.Open:
		return fleet.PathUnknown
	case r.Probe == sensorbox.ProbeFailed:
		return fleet.PathFailed
	case r.Age > max(leastSilence, 5*r.Period):
		return fleet.PathSilent
	}
	return fleet.PathGood
}

// verdict passes on what a Sensor Box says of a machine on which a monitor runs
// (§3.5.1): it need not be missed first.
func (l *loop) verdict(heard *slog.Logger, target string, ev sensorbox.Event) {
	if len(l.seats[target]) == 0 || !repair.EndsMachine(ev) && ev.Kind != sensorbox.Gone && ev.Kind != sensorbox.Fenced {
		return
	}
	for _, name := range l.seats[target] {
		heard.With("monitor", name, "event", ev.Kind.String()).Warn("a monitor's own machine has failed")
		l.tell(fleet.Gone{Monitor: name, Why: target + ": " + ev.String()})
	}
}

// targets are those that this monitor may own from now on.
func (l *loop) targets(all []fleet.Target) {
	l.do(func() {
		l.m.SetTargets(all)
		clear(l.paths) // who is new has not been told them
	})
}

// longestLeave bounds how long targets are waited for at the end.
const longestLeave = 15 * time.Second

// leave hands everything on, says so, and closes what leads to the others.
func (l *loop) leave() error {
	l.tell(fleet.Leave{})
	for end := time.Now().Add(longestLeave); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		left := false
		l.do(func() { left = l.m.Left() })
		if left {
			break
		}
	}
	var errs []error
	for _, t := range l.talk {
		errs = append(errs, t.Close())
	}
	return errors.Join(errs...)
}
