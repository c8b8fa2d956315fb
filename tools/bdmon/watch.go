// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/repair"
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
	log    *slog.Logger
	mon    *monitor.Monitor
	resort *repair.LastResort // nil: never reset

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
}

// found is an event and the machine it was seen on.
type found struct {
	target *backdoor.Target
	ev     sensorbox.Event
}

func newWatch(d *daemonState, cfg config.Target, key uapi.Key, dryRun bool) *watch {
	w := &watch{d: d, cfg: cfg, dryRun: dryRun, key: key, log: d.log.With("target", cfg.Name), queue: make(chan found, 1024)}
	w.mon = monitor.New(monitor.Options{
		Open: w.open, Opened: w.opened, Sink: w.sink, Log: w.log,
		Fetched:  d.metrics.fetched(cfg.Name),
		Detector: sensorbox.Config{Rules: cfg.Rules(), Expect: cfg.Expected()},
		Period:   time.Duration(cfg.Period), PM: cfg.Accuracy, Loss: cfg.Loss,
	})
	if cfg.Reset {
		w.resort = w.newResort()
	}
	w.sampling, w.stopSampling = context.WithCancel(context.Background())
	w.healing, w.stopHealing = context.WithCancel(context.Background())
	return w
}

// open asks for the writer's place if there is a key, and makes do with reading.
func (w *watch) open(ctx context.Context) (backdoor.Memory, error) {
	o := target.Options{Writable: w.cfg.KeyFile != "", Slot: w.cfg.Slot, Key: w.key, Takeover: true, Log: w.log}
	if len(w.cfg.FenceCommand) > 0 {
		o.Reset = w.fence
	}
	m, err := target.Open(ctx, w.cfg.URL, o)
	if errors.Is(err, backdoor.ErrReadOnly) {
		w.log.Warn("another monitor is the writer; watching only", "err", err)
		o.Writable = false
		m, err = target.Open(ctx, w.cfg.URL, o)
	}
	return m, err
}

func (w *watch) start() {
	w.sampler.Go(func() {
		if err := w.mon.Run(w.sampling); err != nil {
			w.log.Error("target is not monitored", "err", err)
		}
	})
	w.healers.Go(w.consume)
}

// stop ends healing first: a repair under way releases its lock while there
// still is a carrier, and so does a lock that bdctl holds.
func (w *watch) stop() {
	w.stopHealing()
	w.healers.Wait()
	w.release("bdmon stops watching")
	w.stopSampling()
	w.sampler.Wait()
}

// sink runs on the sampling thread and never waits.
func (w *watch) sink(t *backdoor.Target, ev sensorbox.Event) {
	select {
	case w.queue <- found{t, ev}:
	default:
		w.dropped.Add(1)
	}
}

func (w *watch) consume() {
	for {
		select {
		case f := <-w.queue:
			w.take(f)
		case <-w.healing.Done():
			return
		}
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
	w.log.Log(context.Background(), level, "event", "event", f.ev.Kind.String(), "sensor", f.ev.Sensor, "what", f.ev.String())
	w.d.hub.publish(control.NewEvent(w.cfg.Name, f.ev))
	w.mu.Lock()
	m := w.m
	w.mu.Unlock()
	if m == nil || m.target != f.target {
		return
	}
	if m.dispatcher != nil {
		m.dispatcher.Dispatch(f.ev)
	}
	m.tellResort(f.ev)
}
