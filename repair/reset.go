// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/internal/pause"
	"lazystate/sensorbox"
)

// ResetOptions bound a LastResort.
type ResetOptions struct {
	Confirm  time.Duration // how long the verdict must hold; 10 s if 0
	CoolDown time.Duration // between two resets; 10 min if 0
	Bound    time.Duration // most time of the reset itself; 1 min if 0

	// Since is when this boot of the machine was first seen: nobody has reset
	// it after that. Zero: now.
	Since time.Time

	// Needed, if set, reports whether somebody still needs what is in the machine's
	// memory: it is not reset before. Nil: nobody does.
	Needed func() bool

	// Enter, if set, keeps others from writing this monitor's slots meanwhile.
	Enter func() (leave func(), err error)
}

// WithDefaults fills in the times that are 0, but Since.
func (o ResetOptions) WithDefaults() ResetOptions {
	o.Confirm = cmp.Or(o.Confirm, 10*time.Second)
	o.CoolDown = cmp.Or(o.CoolDown, 10*time.Minute)
	o.Bound = cmp.Or(o.Bound, time.Minute)
	return o
}

// LastResort resets a machine that cannot be repaired in place, by its carrier:
// one that has panicked, or no CPU of which takes interrupts, so that no hook
// can reboot it. One LastResort serves all boots of a target.
//
// The trap: a machine that somebody paused looks just like this, and so does
// one that saves itself after a panic (kdump). Confirm must be longer than that.
type LastResort struct {
	opt ResetOptions

	mu     sync.Mutex // one incident at a time
	next   time.Time  // no reset before
	serial int
}

// NewLastResort returns one that waits a cool-down since the machine was first
// seen: it does not know what a monitor before it did.
func NewLastResort(o ResetOptions) *LastResort {
	o = o.WithDefaults()
	if o.Since.IsZero() {
		o.Since = time.Now()
	}
	return &LastResort{opt: o, next: o.Since.Add(o.CoolDown)}
}

// EndsMachine reports whether an event asks for a LastResort.
func EndsMachine(e sensorbox.Event) bool {
	return e.Kind == sensorbox.Panicked || e.Kind == sensorbox.Failed && !e.Partial
}

// Consider waits for the end of the cool-down, and resets the machine if it
// cannot be repaired in place and stays so. Nothing is done that the audit log
// did not take before, nothing in a dry run, and nothing by a mere reader. The
// reset is not broken off with ctx: half of it may be a machine without power.
func (l *LastResort) Consider(ctx context.Context, p *Patient, events ...sensorbox.Event) (reset bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serial++
	in := &Incident{
		ID: fmt.Sprintf("%s-%d-reset%d", p.Name, time.Now().Unix(), l.serial), Patient: p,
		Events: events, Began: time.Now(), healer: "last-resort",
	}
	reset, err = l.consider(ctx, in)
	in.note("end", map[string]any{"reset": reset, "took_ns": time.Since(in.Began)}, err)
	return reset, err
}

func (l *LastResort) consider(ctx context.Context, in *Incident) (bool, error) {
	if err := in.decide("event", evidence(in.Events)); err != nil {
		return false, err
	}
	carrier, err := in.Patient.Resetter()
	if err != nil {
		return false, err
	}
	if wait := time.Until(l.next); wait > 0 {
		in.note("wait", map[string]any{"cool_down_ns": wait}, nil)
		if err := pause.For(ctx, wait); err != nil {
			return false, err
		}
	}
	verdict, err := l.condemn(ctx, in)
	if err != nil || verdict == nil {
		return false, err
	}
	return l.reset(ctx, in, carrier, verdict)
}

// ErrDryRun: what would be done is not.
var ErrDryRun = errors.New("dry run: neither frozen nor reset")

// Resetter is the means to reset the machine, for who may use it.
func (p *Patient) Resetter() (backdoor.Resetter, error) {
	m := p.Target.Memory()
	r, ok := m.(backdoor.Resetter)
	switch {
	case p.DryRun:
		return nil, ErrDryRun
	case !m.Caps().Writable:
		return nil, fmt.Errorf("reset %s: %w", p.Name, backdoor.ErrReadOnly)
	case !ok || !m.Caps().Reset:
		return nil, fmt.Errorf("reset %s: its carrier cannot", p.Name)
	}
	return r, nil
}

const (
	resetLooks = time.Second // between two looks of a confirmation
	resetBlind = 60          // looks that may fail: the lock is held by hand, a list is torn
)

// condemn looks at the machine until the verdict has held for the confirm
// time; nil: it is not, or no longer, beyond repair.
func (l *LastResort) condemn(ctx context.Context, in *Incident) (*Hang, error) {
	blind := 0
	for since := time.Now(); ; {
		h, why, err := l.look(ctx, in.Patient)
		blind++
		switch {
		case err != nil && (Lost(err) || ctx.Err() != nil || blind > resetBlind):
			return nil, fmt.Errorf("look at %s: %w", in.Patient.Name, err)
		case err != nil:
			since = time.Now()
		case l.opt.Needed != nil && l.opt.Needed():
			since, blind = time.Now(), 0
		case why != "":
			in.note("verdict", map[string]any{"cause": h.Cause.String(), "detail": h.Detail, "no_reset": why}, nil)
			return nil, nil
		case time.Since(since) >= l.opt.Confirm:
			return h, nil
		default:
			blind = 0
		}
		if err := pause.For(ctx, min(resetLooks, l.opt.Confirm)); err != nil {
			return nil, err
		}
	}
}

// look is one diagnosis; why says what speaks against a reset.
func (l *LastResort) look(ctx context.Context, p *Patient) (h *Hang, why string, err error) {
	if l.opt.Enter != nil {
		leave, err := l.opt.Enter()
		if err != nil {
			return nil, "", err
		}
		defer leave()
	}
	if h, err = p.DiagnoseHang(ctx); err != nil {
		return nil, "", err
	}
	v, err := p.Target.LockView(ctx)
	if err != nil && !errors.Is(err, backdoor.ErrTorn) { // torn: it died while it wrote
		return nil, "", err
	}
	return h, h.noReset(v), nil
}

// noReset says why the machine is not to be reset. v is nil if it is torn.
func (h *Hang) noReset(v *backdoor.LockView) string {
	switch {
	case v != nil && v.State == uapi.LockFenced:
		return "it is fenced: that is somebody's will"
	case h.Cause == HangPanic:
		return ""
	case h.Cause != HangSpin || h.Partial:
		return "some CPU takes interrupts: hooks work"
	case !errors.Is(h.LockErr, backdoor.ErrNoAnswer):
		return fmt.Sprintf("it answers a request for the lock: %v", h.LockErr)
	}
	return ""
}

func (l *LastResort) reset(ctx context.Context, in *Incident, carrier backdoor.Resetter, h *Hang) (bool, error) {
	if l.opt.Enter != nil {
		leave, err := l.opt.Enter()
		if err != nil {
			return false, err
		}
		defer leave()
	}
	evidence := map[string]any{
		"cause": h.Cause.String(), "detail": h.Detail, "running": h.Running, "confirm_ns": l.opt.Confirm, "bound_ns": l.opt.Bound,
	}
	if err := in.decide("reset", evidence); err != nil {
		return false, err
	}
	began := time.Now()
	l.next = began.Add(l.opt.CoolDown) // an attempt counts, however it ends
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.opt.Bound)
	defer cancel()
	err := carrier.Reset(ctx)
	in.note("result", map[string]any{"took_ns": time.Since(began)}, err)
	if err != nil {
		return false, fmt.Errorf("reset %s: %w", in.Patient.Name, err)
	}
	return true, nil
}
