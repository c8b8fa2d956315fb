// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"lazystate/backdoor"
	"lazystate/repair"
	"lazystate/sensorbox/fleet"
)

// term is the time for which this monitor owns a target: from its claim until
// it yields, with one epoch.
type term struct {
	epoch  uint64
	place  backdoor.WritersPlace
	target *backdoor.Target // the boot that the place was taken at
	leased bool             // the place has a lease of its own
	until  time.Duration    // by the fleet's clock; 0: no end
	resort *repair.LastResort

	ctx    context.Context // ends with the lease at the latest
	cancel context.CancelFunc
	expiry *time.Timer // nil: no lease
	tasks  sync.WaitGroup
}

var errNotOwner = errors.New("this monitor does not own the target")

// Bounds of what is asked of a writer's place.
const (
	claimBound = 5 * time.Second
	yieldBound = time.Second
)

func (w *watch) owns() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.term != nil && w.term.ctx.Err() == nil
}

// serve begins to heal, once the log knows under which epoch. w.claimed is the
// term that Granted told of.
func (w *watch) serve(epoch uint64) {
	w.mu.Lock()
	t := w.claimed
	cut := w.cutAt >= epoch
	w.mu.Unlock()
	switch {
	case t == nil || t.epoch != epoch:
		w.d.loop.tell(fleet.Refused{Target: w.cfg.Name, Epoch: epoch, Lost: true, Why: "it was given up"})
		return
	case cut: // it is yielded already
		return
	}
	if err := w.noteOwner(t, "own", true, map[string]any{"epoch": epoch, "leased": t.until > 0}, nil); err != nil {
		w.d.loop.tell(fleet.Refused{Target: w.cfg.Name, Epoch: epoch, Lost: true, Why: err.Error()})
		return
	}
	w.log.Info("this monitor owns the target", "epoch", epoch)
	w.d.metrics.owned.WithLabelValues(w.cfg.Name, "own").Inc()
	w.mu.Lock()
	t.ctx, t.cancel = context.WithCancel(w.healing)
	if t.until > 0 {
		t.expiry = time.AfterFunc(t.until-fleetClock(), t.cancel)
	}
	w.term, w.claimed = t, nil
	w.serveMachine()
	w.mu.Unlock()
	w.mon.Retell()
}

// serveMachine takes care of the present machine, if the place that is held is
// this machine's. w.mu is held, and w.term is there.
func (w *watch) serveMachine() {
	t := w.term
	if w.m == nil {
		return
	}
	if own, ok := w.m.target.Memory().(backdoor.WritersPlace); !ok || own != t.place {
		w.d.loop.tell(fleet.Refused{Target: w.cfg.Name, Epoch: t.epoch, Lost: true, Why: "it was opened anew"})
		return
	}
	if t.resort == nil {
		t.resort = w.newResort(w.m.since)
	}
	ctx, cancel := context.WithCancel(t.ctx)
	context.AfterFunc(w.m.ctx, cancel)
	w.takeCare(ctx, &t.tasks, t.resort)
}

// cut ends the healing of a term at once; endTerm, which waits, comes after it.
func (w *watch) cut(epoch uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cutAt = max(w.cutAt, epoch)
	if w.term != nil {
		w.term.cancel()
	}
}

// extend says that the lease runs on; false if healing had to stop before the
// answer came.
func (w *watch) extend(epoch uint64, until time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch t := w.term; {
	case t == nil || t.epoch != epoch:
		return w.claimed != nil && w.claimed.epoch == epoch
	case t.ctx.Err() != nil:
		return false
	case t.expiry != nil && until > t.until:
		t.until = until
		t.expiry.Reset(until - fleetClock())
	}
	return true
}

// endTerm lets go of everything, in the order in which it was taken: repairs
// release the lock, what bdctl holds is released, the place is given up.
func (w *watch) endTerm(why, heir string) {
	w.mu.Lock()
	t := w.term
	if t == nil {
		t = w.claimed
	}
	w.term, w.claimed = nil, nil
	if w.m != nil && t != nil && !w.dryRun {
		w.m.care = nil
	}
	w.mu.Unlock()
	if t == nil {
		return
	}
	if t.cancel != nil {
		t.cancel()
		t.tasks.Wait()
		_ = w.release(why) // ErrFalse: nothing was held
		w.log.Info("this monitor yields the target", "epoch", t.epoch, "to", heir, "why", why)
		w.d.metrics.owned.WithLabelValues(w.cfg.Name, "yield").Inc()
		_ = w.noteOwner(t, "yield", false, map[string]any{"epoch": t.epoch, "to": heir, "why": why}, nil)
	}
	ctx, cancel := context.WithTimeout(context.Background(), yieldBound)
	defer cancel()
	err := errors.Join(t.place.Disown(ctx), w.d.loop.roll.Abandon(ctx, w.cfg.Name, t.epoch))
	if err != nil {
		w.log.Warn("the writer's place was not given up; its lease ends it", "epoch", t.epoch, "err", err)
	}
	if t.cancel != nil {
		_ = w.noteOwner(t, "released", false, map[string]any{"epoch": t.epoch}, err)
	}
}

// noteOwner writes to the audit log. What is decided must be there before it is done.
func (w *watch) noteOwner(t *term, step string, decided bool, data map[string]any, err error) error {
	r := repair.Record{Time: time.Now(), Target: w.cfg.Name, Boot: t.target.BootID().String(), Incident: "ownership", Step: step, Decided: decided, Data: data}
	data["monitor"] = w.d.loop.cfg.Self
	if err != nil {
		r.Error = err.Error()
	}
	if err := w.d.audit.Append(r); err != nil {
		w.log.Error("audit log", "err", err)
		return err
	}
	return nil
}
