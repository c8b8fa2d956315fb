// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lazystate/internal/pause"
	"lazystate/sensorbox"
)

// Report is the end of an incident, with the times a drill prints.
type Report struct {
	Incident  string
	Healer    string
	Events    []sensorbox.Event
	Result    Result
	Err       error // why it was aborted or has failed
	Plan      *Plan // the last, if one was made
	Outcome   *Outcome
	Verdict   *Verdict
	Attempts  int
	Began     time.Time // first event handled
	Diagnosed time.Time // the first plan that named a culprit; zero: none did
	Repaired  time.Time // end of the last Apply
	Ended     time.Time
	Killed    int           // over all attempts, read back
	Users     []uint32      // accused, over all attempts
	Frozen    time.Duration // over all attempts
}

// Result of an incident.
type Result uint8

const (
	NothingToDo Result = iota + 1 // settled by itself, or nobody is to blame
	DryRun                        // a plan was made and not carried out
	Healed
	Unhealed // attempts are used up
	Aborted  // target lost, log full, context ended
)

var resultNames = [...]string{NothingToDo: "nothing-to-do", DryRun: "dry-run", Healed: "healed", Unhealed: "unhealed", Aborted: "aborted"}

func (r Result) String() string {
	if int(r) < len(resultNames) && resultNames[r] != "" {
		return resultNames[r]
	}
	return fmt.Sprintf("result(%d)", uint8(r))
}

// treat repairs until the target is healed, nothing is to be done, or the
// attempts are used up. Two bombs at once are two attempts: the second plan
// names the second user.
func (d *Dispatcher) treat(ctx context.Context, h Healer, in *Incident) Report {
	r := Report{Incident: in.ID, Healer: h.Name(), Events: in.Events, Began: in.Began}
	r.Err = in.decide("event", evidence(in.Events))
	for r.Err == nil && r.Result == 0 && in.Attempt < d.opt.Attempts {
		in.Attempt++
		r.Attempts = in.Attempt
		r.Err = d.attempt(ctx, h, in, &r)
	}
	r.Ended = time.Now()
	switch {
	case r.Err != nil:
		r.Result = Aborted
	case r.Result == 0:
		r.Result = Unhealed
	}
	in.note("end", map[string]any{"result": r.Result.String(), "attempts": r.Attempts, "killed": r.Killed, "frozen_ns": r.Frozen, "took_ns": r.Ended.Sub(r.Began)}, r.Err)
	return r
}

// attempt is one plan, act, verify. It sets r.Result when there is no use in
// another. Errors that another attempt may cure are noted, not returned.
func (d *Dispatcher) attempt(ctx context.Context, h Healer, in *Incident, r *Report) error {
	ctx, cancel := context.WithTimeout(ctx, d.opt.Bound)
	defer cancel()
	plan, err := h.Plan(ctx, in)
	if err != nil {
		return d.trouble(ctx, in, "plan", err)
	}
	last := r.Plan
	if plan.Needed() || last == nil {
		r.Plan = plan
	}
	if err := in.decide("plan", evidenceOf(plan)); err != nil {
		return err
	}
	switch {
	case !plan.Needed() && in.tried:
		// Nobody is left to accuse: what the last attempt did may have been
		// enough, and only slow to show. Else it is not this healer's to cure.
		r.Result = Unhealed
		if last != nil && last.Needed() && r.Outcome != nil {
			return d.verify(ctx, h, in, last, r)
		}
		return nil
	case !plan.Needed():
		r.Result = NothingToDo
		return nil
	case in.Patient.DryRun:
		r.Result = DryRun
	}
	if r.Diagnosed.IsZero() {
		r.Diagnosed = time.Now()
	}
	if r.Result != 0 {
		return nil
	}
	if len(plan.Culprits) > 0 {
		r.Users = append(r.Users, plan.Accused().UID)
	}
	return d.act(ctx, h, in, plan, r)
}

func (d *Dispatcher) act(ctx context.Context, h Healer, in *Incident, plan *Plan, r *Report) error {
	in.tried = true
	out, err := h.Apply(ctx, in, plan)
	r.Outcome, r.Repaired = out, time.Now()
	if out != nil {
		r.Killed += out.Killed
		r.Frozen += out.Frozen
		if len(out.Done)+len(out.Left) > 0 {
			in.note("outcome", map[string]any{"done": out.Done, "left": out.Left}, nil)
		}
	}
	if err != nil {
		return d.trouble(ctx, in, "apply", err)
	}
	return d.verify(ctx, h, in, plan, r)
}

func (d *Dispatcher) verify(ctx context.Context, h Healer, in *Incident, plan *Plan, r *Report) error {
	v, err := h.Verify(ctx, in, plan, r.Outcome)
	if err != nil {
		return d.trouble(ctx, in, "verify", err)
	}
	r.Verdict = v
	in.note("verify", v, nil)
	if v.Healed {
		r.Result = Healed
	}
	return nil
}

// trouble decides whether an error ends the incident.
func (d *Dispatcher) trouble(ctx context.Context, in *Incident, step string, err error) error {
	err = fmt.Errorf("%s: %w", step, err)
	in.note("abort", step, err)
	final := Lost(err) || ctx.Err() != nil || in.Patient.Audit == nil || in.Patient.Audit.Err() != nil || errors.Is(err, ErrNotAllowed)
	if final || in.Attempt >= d.opt.Attempts {
		return err
	}
	if cancelled := pause.For(ctx, time.Duration(in.Attempt)*200*time.Millisecond); cancelled != nil {
		return err
	}
	return nil
}

// ErrNotAllowed: the target was loaded without permission to repair it.
var ErrNotAllowed = errors.New("the target does not allow repairs (allow_repair=0)")

func evidenceOf(p *Plan) map[string]any {
	m := map[string]any{
		"policy": p.Policy, "findings": p.Findings, "notes": p.Notes, "spared": p.Spared, "culprits": len(p.Culprits),
		"confirm_ns": p.Confirm, "processes": p.Seen, "reads": p.Reads.Reads, "batches": p.Reads.Batches, "walk_ns": p.Walk,
	}
	if len(p.Steps) > 0 {
		m["steps"] = p.Steps
	}
	if p.Why != "" {
		m["nothing"] = p.Why
	}
	return m
}
