// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/repair"
	"lazystate/tools/control"
)

// hold is the repair lock as bdctl took it. It ends by itself: an operator who
// walks away must not leave a machine frozen.
type hold struct {
	target *backdoor.Target
	lock   *backdoor.Held
	timer  *time.Timer
	since  time.Time
}

const (
	defaultHold = 5 * time.Second
	longestHold = 60 * time.Second
	unlockBound = 5 * time.Second
)

func (w *watch) locked() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.held != nil
}

// lockByHand takes the repair lock for bdctl.
func (w *watch) lockByHand(ctx context.Context, who control.Peer, r control.Request) (control.Lock, error) {
	t, err := w.writable()
	if err != nil {
		return control.Lock{}, err
	}
	lease := time.Duration(r.LeaseMs) * time.Millisecond
	if lease == 0 {
		lease = defaultHold
	}
	if lease < time.Millisecond || lease > longestHold {
		return control.Lock{}, fmt.Errorf("a hold of %v: 1ms to %v", lease, longestHold)
	}
	leave, err := w.turn()
	if err != nil {
		return control.Lock{}, err
	}
	defer leave()
	if w.locked() {
		return control.Lock{}, fmt.Errorf("held already: %w", control.ErrFalse)
	}
	if err := w.decide(t, who, "lock", map[string]any{"for": lease.String()}); err != nil {
		return control.Lock{}, err
	}
	held, err := t.Lock(ctx, backdoor.LockOptions{
		Slot: w.cfg.Slot, Key: w.key, Drain: time.Duration(r.DrainMs) * time.Millisecond, Flags: uapi.LockNMI | uapi.LockDrain,
	})
	if err != nil {
		w.note(t, "lock failed", nil, err)
		return control.Lock{}, err
	}
	h := &hold{target: t, lock: held, since: time.Now()}
	w.mu.Lock()
	w.held = h
	h.timer = time.AfterFunc(lease, func() { w.end(h, "its time is over") })
	w.mu.Unlock()
	answer := control.Lock{Drained: held.View().Drained, LeaseMs: lease.Milliseconds()}
	for _, c := range held.View().CPUs {
		answer.CPUs = append(answer.CPUs, uapi.CPUWhereName(c.Where))
	}
	w.note(t, "locked", answer, nil)
	return answer, nil
}

// release gives back what lockByHand took. ErrFalse if nothing is held.
func (w *watch) release(why string) error {
	w.mu.Lock()
	h := w.held
	w.mu.Unlock()
	return w.end(h, why)
}

// end gives back one hold: a timer that was too late to stop must not end the
// next. It is held until the log says that it is not: holds do not overlap there.
func (w *watch) end(h *hold, why string) error {
	w.ending.Lock()
	defer w.ending.Unlock()
	w.mu.Lock()
	mine := h != nil && w.held == h
	w.mu.Unlock()
	if !mine {
		return fmt.Errorf("not held: %w", control.ErrFalse)
	}
	h.timer.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), unlockBound)
	defer cancel()
	err := h.lock.Unlock(ctx)
	w.d.metrics.frozen.WithLabelValues(w.cfg.Name).Observe(time.Since(h.since).Seconds())
	w.log.Info("repair lock released", "why", why, "dur", time.Since(h.since), "err", err)
	w.note(h.target, "unlock", map[string]any{"why": why, "held_ns": time.Since(h.since)}, err)
	w.mu.Lock()
	w.held = nil
	w.mu.Unlock()
	return err
}

// writable returns the target if this monitor may write to it.
func (w *watch) writable() (*backdoor.Target, error) {
	t := w.mon.Target()
	switch {
	case t == nil:
		return nil, errors.New("target is not watched now: " + w.mon.Status().Error)
	case w.dryRun:
		return nil, errors.New("bdmon runs with --dry-run: nothing is done")
	case w.cfg.KeyFile == "":
		return nil, errors.New("no key_file is configured for this target")
	case !w.owns():
		return nil, errNotOwner
	}
	return t, nil
}

// decide writes to the audit log what is about to be done by hand.
func (w *watch) decide(t *backdoor.Target, who control.Peer, step string, data map[string]any) error {
	data["by"] = who.String()
	return w.d.audit.Append(repair.Record{
		Time: time.Now(), Target: w.cfg.Name, Boot: t.BootID().String(), Incident: "by-hand", Step: step, Decided: true, Data: data,
	})
}

// note writes how it went.
func (w *watch) note(t *backdoor.Target, step string, data any, err error) {
	r := repair.Record{Time: time.Now(), Target: w.cfg.Name, Boot: t.BootID().String(), Incident: "by-hand", Step: step, Data: data}
	if err != nil {
		r.Error = err.Error()
	}
	if err := w.d.audit.Append(r); err != nil {
		w.log.Error("audit log", "err", err)
	}
}
