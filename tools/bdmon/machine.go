// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"

	"lazystate/backdoor"
	"lazystate/repair"
	"lazystate/sensorbox"
)

// machine is one boot of a target, and who heals it.
type machine struct {
	target     *backdoor.Target
	dispatcher *repair.Dispatcher   // nil: nobody
	lost       chan sensorbox.Event // what calls for the last resort; nil: it is never called
	stop       context.CancelFunc
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
	w.m = &machine{target: t, stop: cancel}
	w.healers.Go(func() { w.watchCrashKernel(ctx, t) })
	if w.resort != nil {
		w.watchForLoss(ctx, w.m)
	}
	if len(w.cfg.Healers) == 0 {
		return
	}
	if !t.Memory().Caps().Writable && !w.dryRun {
		w.log.Warn("no healing: this side may only read the target")
		return
	}
	d, err := w.newDispatcher(t)
	if err != nil {
		w.log.Error("no healing", "err", err)
		return
	}
	w.m.dispatcher = d
	w.healers.Go(func() {
		if err := d.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			w.log.Warn("healing has ended", "err", err)
		}
	})
}

func (w *watch) patient(t *backdoor.Target) *repair.Patient {
	return &repair.Patient{
		Name: w.cfg.Name, Target: t, Slot: w.cfg.Slot, Key: w.key, Audit: w.d.audit, Log: w.d.log, DryRun: w.dryRun,
	}
}

func (w *watch) newDispatcher(t *backdoor.Target) (*repair.Dispatcher, error) {
	d := repair.NewDispatcher(w.patient(t), repair.Options{
		Coalesce: dur(w.cfg.Repair.Coalesce), CoolDown: dur(w.cfg.Repair.CoolDown),
		Attempts: w.cfg.Repair.Attempts, Bound: dur(w.cfg.Repair.Bound), Report: w.report,
	})
	for i := range w.cfg.Healers {
		h, err := w.cfg.Healers[i].Build()
		if err != nil {
			return nil, err
		}
		hm := d.NewHealer(&exclusive{h, w})
		for _, sensor := range w.cfg.Healers[i].Sensors {
			d.RegisterSensor(hm, sensor)
		}
	}
	return d, nil
}

// report is the end of an incident: its events are handled, and counted anew.
func (w *watch) report(r repair.Report) {
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

func (e *exclusive) Apply(ctx context.Context, in *repair.Incident, p *repair.Plan) (*repair.Outcome, error) {
	leave, err := e.w.enter()
	if err != nil {
		return &repair.Outcome{}, err
	}
	defer leave()
	return e.Healer.Apply(ctx, in, p)
}

func (w *watch) enter() (leave func(), err error) {
	w.acting.Lock()
	if w.locked() {
		w.acting.Unlock()
		return nil, errHeldByHand
	}
	return w.acting.Unlock, nil
}
