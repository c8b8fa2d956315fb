// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"time"

	"lazystate/backdoor"
	"lazystate/repair"
	"lazystate/sensorbox"
	"lazystate/tools/heal"
)

// newResort is what resets the target's machines, where the configuration says
// so. It lives as long as this monitor owns the target, and so does its
// cool-down, over all boots.
func (w *watch) newResort(since time.Time) *repair.LastResort {
	if !w.cfg.Reset {
		return nil
	}
	o := w.cfg.Repair.ResetOptions()
	o.Enter, o.Since = w.enter, since
	o.Needed = func() bool {
		s := w.salvage()
		return s != nil && s.Needed()
	}
	return repair.NewLastResort(o)
}

// salvage is what carries out the present machine's sessions; nil: nobody does.
func (w *watch) salvage() *heal.Salvage {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.m == nil || w.m.care == nil {
		return nil
	}
	return w.m.care.salvage
}

// watchForLoss waits for the end of one boot.
func (w *watch) watchForLoss(ctx context.Context, t *backdoor.Target, c *care) {
	for {
		select {
		case ev := <-c.lost:
			w.considerReset(ctx, t, c.resort, ev)
		case <-ctx.Done():
			return
		}
	}
}

func (w *watch) considerReset(ctx context.Context, t *backdoor.Target, resort *repair.LastResort, ev sensorbox.Event) {
	reset, err := resort.Consider(ctx, w.patient(t), ev)
	result := "nothing-to-do"
	switch {
	case reset:
		result = "reset"
	case errors.Is(err, repair.ErrDryRun):
		result = repair.DryRun.String()
	case err != nil:
		result = repair.Aborted.String()
	}
	w.d.metrics.repairs.WithLabelValues("last-resort", "", result).Inc()
	w.log.Warn("last resort", "result", result, "err", err)
}

// tellResort never waits: one event is as good as many.
func (c *care) tellResort(ev sensorbox.Event) {
	if c.resort == nil || !repair.EndsMachine(ev) {
		return
	}
	select {
	case c.lost <- ev:
	default:
	}
}
