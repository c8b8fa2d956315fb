// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lazystate/backdoor"
	"lazystate/repair"
	"lazystate/sensorbox"
	"lazystate/sensorbox/fleet"
	"lazystate/tools/heal"
)

// machine is one boot of a target.
type machine struct {
	target *backdoor.Target
	since  time.Time
	ctx    context.Context // ends with the boot
	stop   context.CancelFunc
	care   *care // nil: nobody heals it
}

// care is what an owner does for a machine.
type care struct {
	dispatcher *repair.Dispatcher // nil: no healer is configured
	resort     *repair.LastResort // nil: it is never reset
	salvage    *heal.Salvage      // nil: nobody carries out its sessions
	salvageFor []string           // kinds of events that it is called for
	ended      atomic.Bool        // the dispatcher calls no healer any more
	lost       chan sensorbox.Event
}

// hear takes an event to whoever does something about it. It never waits.
func (w *watch) hear(c *care, ev sensorbox.Event) {
	if c.dispatcher != nil {
		if c.salvage != nil && slices.Contains(c.salvageFor, ev.Kind.String()) && !w.dryRun && !c.ended.Load() {
			c.salvage.Expect() // before the last resort hears of it
		}
		c.dispatcher.Dispatch(ev)
	}
	c.tellResort(ev)
}

// opened is called by the monitor for each machine that it begins to watch.
func (w *watch) opened(t *backdoor.Target) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.m != nil {
		w.m.stop()
	}
	if w.healing.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancel(w.healing)
	w.m = &machine{target: t, since: time.Now(), ctx: ctx, stop: cancel}
	w.healers.Go(func() { w.watchCrashKernel(ctx, t) })
	w.d.loop.post(w.d.loop.look) // its path is known: it may be claimed now
	if w.dryRun {
		w.takeCare(ctx, &w.healers, w.newResort(w.m.since))
	} else if w.term != nil {
		w.serveMachine()
	}
}

// takeCare begins to heal the present machine, until ctx ends. w.mu is held.
func (w *watch) takeCare(ctx context.Context, tasks *sync.WaitGroup, resort *repair.LastResort) {
	t := w.m.target
	c := &care{resort: resort, lost: make(chan sensorbox.Event, 1)}
	w.m.care = c
	if resort != nil {
		tasks.Go(func() { w.watchForLoss(ctx, t, c) })
	}
	if len(w.cfg.Healers) == 0 {
		return
	}
	d, err := w.newDispatcher(t, c)
	if err != nil {
		w.log.Error("no healing", "err", err)
		return
	}
	c.dispatcher = d
	tasks.Go(func() {
		err := d.Run(ctx)
		c.ended.Store(true)
		if c.salvage != nil {
			c.salvage.GiveUp()
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			w.log.Warn("healing has ended", "err", err)
		}
	})
}

func (w *watch) patient(t *backdoor.Target) *repair.Patient {
	return &repair.Patient{
		Name: w.cfg.Name, Target: t, Slot: w.cfg.Slot, Key: w.key, Audit: w.d.audit, Log: w.d.log, DryRun: w.dryRun,
	}
}

func (w *watch) newDispatcher(t *backdoor.Target, c *care) (*repair.Dispatcher, error) {
	o := w.cfg.Repair.Options()
	o.Report = w.report
	d := repair.NewDispatcher(w.patient(t), o)
	for i := range w.cfg.Healers {
		h, err := w.cfg.Healers[i].Build()
		if err != nil {
			return nil, err
		}
		if s, ok := h.(*heal.Salvage); ok {
			s.Reset, c.salvage = bool(w.cfg.Reset), s
			c.salvageFor = w.cfg.Healers[i].Sensors
		}
		hm := d.NewHealer(&exclusive{h, w})
		for _, sensor := range w.cfg.Healers[i].Sensors {
			d.RegisterSensor(hm, sensor)
		}
		if c.salvage != nil && h == repair.Healer(c.salvage) { // a monitor may have died between the fence and the rest
			d.RegisterSensor(hm, sensorbox.Fenced.String())
		}
	}
	return d, nil
}

// report is the end of an incident: its events are handled, and counted anew.
func (w *watch) report(r repair.Report) {
	w.d.loop.tell(fleet.Busy{Target: w.cfg.Name, Busy: false})
	if s := w.salvage(); s != nil && r.Healer == s.Name() {
		s.GiveUp()
	}
	policy := ""
	if r.Plan != nil {
		policy = r.Plan.Policy
	}
	w.d.metrics.repairs.WithLabelValues(r.Healer, policy, r.Result.String()).Inc()
	if r.Frozen > 0 {
		w.d.metrics.frozen.WithLabelValues(w.cfg.Name).Observe(r.Frozen.Seconds())
	}
	args := []any{"incident", r.Incident, "healer", r.Healer, "result", r.Result.String(), "killed", r.Killed, "dur", r.Ended.Sub(r.Began)}
	if r.Err != nil {
		args = append(args, "err", r.Err)
	}
	w.log.Info("incident has ended", args...)
	for _, ev := range r.Events {
		w.mon.Ack(ev)
	}
}

// exclusive keeps a healer and bdctl from writing this monitor's slots at the
// same time.
type exclusive struct {
	repair.Healer
	w *watch
}

var errHeldByHand = errors.New("the repair lock is held by hand (bdctl unlock releases it)")

// Plan begins what is not to be handed over for convenience.
func (e *exclusive) Plan(ctx context.Context, in *repair.Incident) (*repair.Plan, error) {
	e.w.d.loop.tell(fleet.Busy{Target: e.w.cfg.Name, Busy: true})
	return e.Healer.Plan(ctx, in)
}

func (e *exclusive) Apply(ctx context.Context, in *repair.Incident, p *repair.Plan) (*repair.Outcome, error) {
	leave, err := e.w.enter()
	if err != nil {
		return &repair.Outcome{}, err
	}
	defer leave()
	return e.Healer.Apply(ctx, in, p)
}

// enter is turn for a repair, which waits for nobody who holds the lock by hand.
func (w *watch) enter() (leave func(), err error) {
	leave, err = w.turn()
	if err == nil && w.locked() {
		leave()
		return nil, errHeldByHand
	}
	return leave, err
}

// turn keeps this monitor's slots for its caller, who owns the target: still, for
// a repair that was waited for may have taken longer than the ownership lasts.
func (w *watch) turn() (leave func(), err error) {
	w.acting.Lock()
	if !w.owns() {
		w.acting.Unlock()
		return nil, errNotOwner
	}
	return w.acting.Unlock, nil
}
