// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/internal/noise"
	"lazystate/sensorbox"
	"lazystate/sensorbox/monitor"
	"lazystate/tools/bdmon/config"
	"lazystate/tools/control"
	"lazystate/tools/target"
)

// watch is one target: a monitor, and a dispatcher for each machine that
// appears behind it.
type watch struct {
	d      *daemonState
	cfg    config.Target
	dryRun bool
	key    uapi.Key
	log    *slog.Logger   // what this monitor does
	heard  *slog.Logger   // what the target says and makes the monitor say: it may do so without end
	quiet  *noise.Handler // that bounds it
	mon    *monitor.Monitor

	queue   chan found
	events  atomic.Uint64
	dropped atomic.Uint64

	sampling, healing context.Context
	stopSampling      context.CancelFunc
	stopHealing       context.CancelFunc
	sampler, healers  sync.WaitGroup

	acting sync.Mutex // one writer of this monitor's slots at a time
	mu     sync.Mutex
	m      *machine
	held   *hold
	ending sync.Mutex // one end of a hold at a time

	term    *term  // nil: this monitor does not own the target
	claimed *term  // that will be, when the fleet says so
	cutAt   uint64 // epoch up to which terms are ended
	duties  *duties
}

// found is an event and the machine it was seen on.
type found struct {
	target *backdoor.Target
	ev     sensorbox.Event
}

func newWatch(d *daemonState, cfg config.Target, key uapi.Key, dryRun bool) *watch {
	w := &watch{d: d, cfg: cfg, dryRun: dryRun, key: key, log: d.log.With("target", cfg.Name), queue: make(chan found, 1024), duties: newDuties()}
	w.quiet = noise.New(w.log.Handler(), saidAtOnce)
	w.heard = slog.New(w.quiet)
	w.mon = monitor.New(monitor.Options{
		Open: w.open, Opened: w.opened, Sink: w.sink, Log: w.heard,
		Fetched:  d.metrics.fetched(cfg.Name),
		Detector: sensorbox.Config{Rules: cfg.Rules(), Expect: cfg.Expected()},
		Period:   time.Duration(cfg.Period), PM: cfg.Accuracy, Loss: cfg.Loss, Link: link(cfg.Probe),
	})
	w.sampling, w.stopSampling = context.WithCancel(context.Background())
	w.healing, w.stopHealing = context.WithCancel(context.Background())
	return w
}

// open opens the target to be read: the writer's place is taken by its owner, later.
func (w *watch) open(ctx context.Context) (backdoor.Memory, error) {
	return target.Open(ctx, w.cfg.URL, target.Options{
		Slot: w.cfg.Slot, Key: w.key, Takeover: true, Log: w.heard,
		Reset: target.Command("fence command", w.cfg.FenceCommand), CutPort: target.Command("port command", w.cfg.PortCommand),
	})
}

func (w *watch) start() {
	w.sampler.Go(func() {
		if err := w.mon.Run(w.sampling); err != nil {
			w.log.Error("target is not monitored", "err", err)
		}
	})
	w.healers.Go(w.consume)
	w.healers.Go(func() { w.duties.run(w.healing) })
}

// stop ends healing first: a repair under way releases its lock while there
// still is a carrier, and so does a lock that bdctl holds.
func (w *watch) stop() {
	w.stopHealing()
	w.healers.Wait()
	w.endTerm("bdmon stops watching", "")
	w.stopSampling()
	w.sampler.Wait()
}

// sink runs on the sampling goroutine and never waits.
func (w *watch) sink(t *backdoor.Target, ev sensorbox.Event) {
	select {
	case w.queue <- found{t, ev}:
	default:
		w.dropped.Add(1)
	}
}

func (w *watch) consume() {
	more := time.NewTicker(noise.Every)
	defer more.Stop()
	for {
		select {
		case f := <-w.queue:
			w.take(f)
		case now := <-more.C:
			w.tellLeftOut(now)
		case <-w.healing.Done():
			return
		}
	}
}

// saidAtOnce is how many events of a kind are logged before they are one a minute.
const saidAtOnce = 16

// tellLeftOut keeps the log from ending with how the target was before.
func (w *watch) tellLeftOut(now time.Time) {
	if err := w.quiet.Flush(now); err != nil {
		w.log.Error("log", "err", err)
	}
}

func (w *watch) take(f found) {
	w.events.Add(1)
	w.d.metrics.events.WithLabelValues(w.cfg.Name, f.ev.Kind.String()).Inc()
	level := slog.LevelWarn
	switch f.ev.Kind {
	case sensorbox.Failed, sensorbox.Panicked, sensorbox.Gone:
		level = slog.LevelError
	case sensorbox.Cleared, sensorbox.Recovered:
		level = slog.LevelInfo
	}
	w.heard.With("event", f.ev.Kind.String()).Log(context.Background(), level, "event", "sensor", f.ev.Sensor, "what", f.ev.String())
	w.d.hub.publish(control.NewEvent(w.cfg.Name, f.ev))
	w.d.loop.verdict(w.heard, w.cfg.Name, f.ev)
	w.mu.Lock()
	m := w.m
	var care *care
	if m != nil {
		care = m.care
	}
	w.mu.Unlock()
	if care == nil || m.target != f.target {
		return
	}
	w.hear(care, f.ev)
}
