// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"lazystate/backdoor"
	"lazystate/repair"
	"lazystate/repair/drill"
	"lazystate/sensorbox"
	"lazystate/sensorbox/monitor"
)

// watch is the monitor's side of a drill: sampling, detector, dispatcher,
// healer. It measures when L was truly crossed by a look of its own.
type watch struct {
	m       *machine
	drill   *drill.Drill
	repair  bool
	period  time.Duration
	mon     *monitor.Monitor
	audit   *repair.Audit
	log     *slog.Logger
	cancel  context.CancelFunc
	running sync.WaitGroup
	ready   chan *backdoor.Target

	mu       sync.Mutex
	released bool
	hung     chan hangEvent // nil until a drill waits for a hang
	crossed  time.Time      // first look beyond L after the release
	detected time.Time      // first event announced
	event    string

	unanswered []sensorbox.Event // announced while nobody repairs
	reports    []repair.Report
	err        error
	dispatch   *repair.Dispatcher
}

func newWatch(m *machine, d *drill.Drill, heal bool, audit *repair.Audit, log *slog.Logger) *watch {
	return &watch{m: m, drill: d, repair: heal, period: 10 * time.Millisecond, audit: audit, log: log, ready: make(chan *backdoor.Target, 1)}
}

// sensors that call the drill's healer.
func (w *watch) sensors() []string {
	if w.drill.Resource == drill.Memory {
		return []string{repair.SensorOOM, repair.SensorMemStall}
	}
	return []string{repair.SensorNProcs, repair.SensorMaxProcRate}
}

func (w *watch) healer() repair.Healer {
	if w.drill.Resource == drill.Memory {
		usable := uint64(w.m.vm.Config().MemMiB+w.m.vm.Config().SwapMiB) << 20 / 4096
		return &repair.MemReclaimHealer{Policy: w.drill.Policy, Spare: w.drill.Spare, Free: []string{"AVAIL_PAGES", "SWAP_FREE"}, Floor: usable / 20}
	}
	return &repair.ProcRepairHealer{Policy: w.drill.Policy, Spare: w.drill.Spare}
}

// start samples the target; events reach the healer only if the drill repairs.
func (w *watch) start(ctx context.Context) (*backdoor.Target, error) {
	ctx, w.cancel = context.WithCancel(ctx)
	w.mon = monitor.New(monitor.Options{
		Open: w.m.open, Period: w.period, Log: w.log,
		Opened: func(t *backdoor.Target) { w.opened(ctx, t) },
		Sink:   func(_ *backdoor.Target, e sensorbox.Event) { w.sink(e) },
	})
	w.running.Add(1)
	go func() {
		defer w.running.Done()
		if err := w.mon.Run(ctx); err != nil {
			w.fail(err)
		}
	}()
	select {
	case t := <-w.ready:
		return t, nil
	case <-time.After(20 * time.Second):
		return nil, fmt.Errorf("target cannot be watched: %s", w.mon.Status().Error)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (w *watch) opened(ctx context.Context, t *backdoor.Target) {
	p := &repair.Patient{Name: w.m.vm.Name(), Target: t, Slot: 0, Key: w.m.key, Audit: w.audit, Log: w.log}
	d := repair.NewDispatcher(p, repair.Options{Report: w.report})
	hm := d.NewHealer(w.healer())
	for _, s := range w.sensors() {
		d.RegisterSensor(hm, s)
	}
	w.mu.Lock()
	w.dispatch = d
	w.mu.Unlock()
	w.running.Add(1)
	go func() {
		defer w.running.Done()
		if err := d.Run(ctx); err != nil && ctx.Err() == nil {
			w.fail(err)
		}
	}()
	select {
	case w.ready <- t:
	default:
	}
}

// sink runs on the sampling thread: it must not block.
func (w *watch) sink(e sensorbox.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noteHang(e)
	for _, s := range w.sensors() {
		if e.Sensor == s && (e.Kind == sensorbox.Exceeded || e.Kind == sensorbox.Pressed) && w.released && w.detected.IsZero() {
			w.detected, w.event = time.Now(), e.String()
		}
	}
	if !w.repair {
		w.unanswered = append(w.unanswered[:min(len(w.unanswered), mostUnanswered)], e)
		return
	}
	if w.dispatch != nil {
		w.dispatch.Dispatch(e)
	}
}

// mostUnanswered bounds the events that wait for enable.
const mostUnanswered = 256

// enable begins to repair: conditions that were announced before and still
// hold are announced again.
func (w *watch) enable() {
	w.mu.Lock()
	w.repair = true
	events := w.unanswered
	w.mu.Unlock()
	for _, e := range events {
		w.mon.Ack(e)
	}
}

func (w *watch) report(r repair.Report) {
	for _, e := range r.Events {
		w.mon.Ack(e)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reports = append(w.reports, r)
}

func (w *watch) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
}

func (w *watch) stop() {
	w.cancel()
	w.running.Wait()
}

// lookout notes the first moment beyond L, by readings of its own: of the
// Sensor Box and, for NPROCS, of the process table itself.
func (w *watch) lookout(ctx context.Context, t *backdoor.Target) {
	ctx, cancel := context.WithCancel(ctx)
	stop := w.cancel
	w.cancel = func() { cancel(); stop() }
	p := &repair.Patient{Name: "lookout", Target: t}
	base := map[string]uint64{}
	if v, err := p.Sensors(ctx); err == nil {
		for i := range v.Sensors {
			base[v.Sensors[i].Name()] = v.Sensors[i].Value
		}
	}
	w.running.Add(1)
	go func() {
		defer w.running.Done()
		for ctx.Err() == nil {
			v, err := p.Sensors(ctx)
			if err == nil && (w.beyond(v, base) || w.crowded(ctx, v, t)) {
				w.mu.Lock()
				w.crossed = time.Now()
				w.mu.Unlock()
				return
			}
			if sleep(ctx, 2*time.Millisecond) != nil {
				return
			}
		}
	}()
}

// crowded counts the processes themselves: NPROCS is a census, and older.
func (w *watch) crowded(ctx context.Context, v *sensorbox.View, t *backdoor.Target) bool {
	if w.drill.Resource != drill.Processes {
		return false
	}
	list, err := t.Tasks(ctx, backdoor.WalkOptions{})
	if err != nil {
		return false
	}
	n := uint64(0)
	for i := range list.Tasks {
		if !list.Tasks[i].KThread() {
			n++
		}
	}
	for i := range v.Sensors {
		if s := &v.Sensors[i]; s.Name() == repair.SensorNProcs && s.Limit > 0 {
			return n > s.Limit
		}
	}
	return false
}

func (w *watch) beyond(v *sensorbox.View, base map[string]uint64) bool {
	for i := range v.Sensors {
		s := &v.Sensors[i]
		for _, name := range w.sensors() {
			if s.Name() != name || s.Limit == 0 {
				continue
			}
			if s.Class == sensorbox.Pressure && s.Value > base[name]+s.Limit || s.Class == sensorbox.Level && s.Value > s.Limit {
				return true
			}
		}
	}
	return false
}

// state is what is known so far.
type state struct {
	crossed, detected time.Time
	event             string
	reports           []repair.Report
	err               error
}

func (w *watch) state() state {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := state{w.crossed, w.detected, w.event, append([]repair.Report(nil), w.reports...), w.err}
	// The monitor's sample may come before the next look of the lookout.
	if !s.detected.IsZero() && (s.crossed.IsZero() || s.crossed.After(s.detected)) {
		s.crossed = s.detected
	}
	return s
}

func (s *state) detectedAfter() time.Duration { return s.detected.Sub(s.crossed) }

// incidents counts those that killed.
func (s *state) incidents() int {
	n := 0
	for _, r := range s.reports {
		if r.Killed > 0 {
			n++
		}
	}
	return n
}

// release says that the rogues go off now: what was seen before is forgotten.
func (w *watch) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.released = true
}
