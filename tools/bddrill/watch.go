// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"lazystate/internal/pause"
	"lazystate/repair/drill"
	"lazystate/sensorbox"
	"lazystate/tools/bdmon/daemon"
	"lazystate/tools/control"
	"lazystate/tools/lab/armed"
)

// watch is the monitor's side of a drill: a bdmon process, what it announces
// and what its audit log tells. A look-out of the drill's own measures when L
// was truly crossed.
type watch struct {
	m      *machine
	drill  *drill.Drill
	daemon *daemon.Daemon
	ledger *daemon.Ledger
	eyes   *eyes
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu       sync.Mutex
	released bool
	below    time.Time // begin of the last look that saw all below L
	crossed  time.Time // first look beyond L after the release
	detected time.Time // first event announced
	event    string
	hung     chan control.Event // nil until a drill waits for a hang
	err      error
}

// watchOver starts bdmon on a machine; heal says whether it has a healer.
func (r *runner) watchOver(ctx context.Context, m *machine, d *drill.Drill, heal bool) (*watch, error) {
	dir := filepath.Join(r.state, m.vm.Name())
	key, err := daemon.WriteKey(dir, m.key)
	if err != nil {
		return nil, err
	}
	w := &watch{m: m, drill: d}
	if w.ledger, err = daemon.NewLedger(r.auditPath, m.vm.Name()); err != nil {
		return nil, err
	}
	if w.eyes, err = m.look(ctx); err != nil {
		return nil, err
	}
	ctx, w.cancel = context.WithCancel(ctx)
	c := daemon.Config{VM: m.vm, URL: m.way.url, Netns: m.way.netns, KeyFile: key, Audit: r.auditPath, Sensor: canarySensor}
	if heal {
		c.Drill, c.Sensor = d, ""
	}
	if m.way.monitor != nil {
		w.daemon, err = daemon.StartIn(ctx, m.way.monitor, dir, c, r.stderr())
	} else {
		w.daemon, err = daemon.Start(ctx, r.monitor, dir, c, r.stderr())
	}
	if err != nil {
		return nil, errors.Join(err, w.stop())
	}
	w.ledger.Skew = w.daemon.Skew
	client, err := w.daemon.Dial(ctx)
	if err != nil {
		return nil, errors.Join(err, w.stop())
	}
	w.tasks.Go(func() {
		defer client.Close()
		if err := client.Stream(control.Request{Cmd: "watch"}, w.announced); err != nil && ctx.Err() == nil {
			w.fail(fmt.Errorf("the monitor's events: %w", err))
		}
	})
	return w, nil
}

// stop ends the monitor, which lets go of what it holds, and the look-out.
func (w *watch) stop() error {
	w.cancel()
	if w.daemon != nil {
		w.daemon.Stop()
	}
	w.tasks.Wait()
	return w.eyes.close()
}

// announced takes an event of bdmon.
func (w *watch) announced(raw json.RawMessage) error {
	var e control.Event
	if err := json.Unmarshal(raw, &e); err != nil {
		return err
	}
	e.Time = e.Time.Add(-w.daemon.Skew)
	w.mu.Lock()
	defer w.mu.Unlock()
	if slices.Contains(daemon.Sensors(w.drill), e.Sensor) && (e.Kind == sensorbox.Exceeded.String() || e.Kind == sensorbox.Pressed.String()) &&
		w.released && w.detected.IsZero() {
		w.detected, w.event = e.Time, e.Text
	}
	if w.hung != nil && slices.Contains(signsOfHang, e.Kind) {
		select {
		case w.hung <- e:
		default:
		}
	}
	return nil
}

func (w *watch) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
}

// release says that the rogues go off now: what was seen before is forgotten.
func (w *watch) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.released = true
}

// state is what is known so far.
type state struct {
	crossed, detected time.Time
	bound             bool // the limit was crossed at some time after crossed
	event             string
	incidents         []daemon.Incident // that have ended
	kills             int               // decisions to kill so far
	err               error
}

// state reads the audit log on; only the drill's own goroutine calls it.
func (w *watch) state() state {
	err := w.ledger.Read()
	w.mu.Lock()
	defer w.mu.Unlock()
	s := state{
		crossed: w.crossed, detected: w.detected, event: w.event,
		incidents: w.ledger.Ended(), kills: w.ledger.Kills, err: errors.Join(err, w.err, w.daemon.Err()),
	}
	// The monitor's sample may come before the next look of the look-out: then
	// the limit was crossed after the look before, and times are upper bounds.
	if !s.detected.IsZero() && (s.crossed.IsZero() || s.crossed.After(s.detected)) {
		s.crossed, s.bound = w.below, true
	}
	return s
}

// detectedAfter is 0 if nothing was announced.
func (s *state) detectedAfter() time.Duration {
	if s.detected.IsZero() {
		return 0
	}
	return s.detected.Sub(s.crossed)
}

func (s *state) killed() int {
	n := 0
	for i := range s.incidents {
		n += s.incidents[i].Killed
	}
	return n
}

// lookEvery is the pause between two looks for the crossing of L.
const lookEvery = 2 * time.Millisecond

// lookout notes the first moment beyond L, by readings of its own: of the
// Sensor Box and, for NPROCS, of the process table itself.
func (w *watch) lookout(ctx context.Context) error {
	base, err := w.eyes.sensors(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := w.cancel
	w.cancel = func() { cancel(); stop() }
	w.looked(time.Now(), false)
	every := lookEvery
	if w.drill.Harmless { // for an hour perhaps, and no detection is timed by it
		every = 25 * lookEvery
	}
	w.tasks.Go(func() {
		for ctx.Err() == nil {
			began := time.Now()
			now, err := w.eyes.sensors(ctx)
			if err == nil && w.looked(began, len(beyond(w.drill, now, base)) > 0 || w.drill.Resource == drill.Processes && w.eyes.crowded(ctx, now)) {
				return
			}
			if pause.For(ctx, every) != nil {
				return
			}
		}
	})
	return nil
}

// looked takes what a look has seen; true ends the look-out.
func (w *watch) looked(began time.Time, beyond bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case beyond:
		w.crossed = time.Now()
	case w.detected.IsZero():
		w.below = began
	}
	return beyond
}

// look opens the machine for reading, beside the monitor that may write.
func (m *machine) look(ctx context.Context) (*eyes, error) {
	mem, t, err := armed.Open(ctx, m.vm, false)
	if err != nil {
		return nil, err
	}
	return &eyes{name: m.vm.Name(), mem: mem, target: t}, nil
}
