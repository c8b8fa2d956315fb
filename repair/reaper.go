// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/internal/pause"
	"lazystate/repair/policy"
)

// Reaper ends all processes of the accused, under the remote OS lock: freeze,
// walk again, post every kill, read every result back, thaw; again until no
// culprit is left that has no kill. A bomb cannot outrun it, for nobody forks
// while frozen and fork fails with a kill pending.
type Reaper struct {
	Rounds int           // most freezes of one repair; 16 if 0
	Settle time.Duration // how long killed processes may take to die before the next freeze; 5 s if 0
	Within time.Duration // how long Verify waits for sensors and table; 15 s if 0
	Every  time.Duration // between the looks of Verify; 250 ms if 0

	// Nproc, if above 0, is set as the accused user's process limit before
	// the first freeze, through the target's knob: a second line of defence
	// that needs a CPU of the target. A target that does not obey is noted.
	Nproc int64
}

func (r *Reaper) withDefaults() Reaper {
	c := *r
	if c.Rounds == 0 {
		c.Rounds = 16
	}
	if c.Settle == 0 {
		c.Settle = 5 * time.Second
	}
	if c.Within == 0 {
		c.Within = 15 * time.Second
	}
	if c.Every == 0 {
		c.Every = 250 * time.Millisecond
	}
	return c
}

// Apply executes the plan. The outcome tells what was done also if it fails.
func (r *Reaper) Apply(ctx context.Context, in *Incident, p *Plan) (*Outcome, error) {
	c := r.withDefaults()
	op := &operation{in: in, plan: p, out: &Outcome{}, killed: map[ProcessID]bool{}}
	if _, err := in.Patient.Target.Region(uapi.KindKillReq); err != nil {
		return op.out, fmt.Errorf("%w: %w", ErrNotAllowed, err)
	}
	var err error
	if op.hooks, err = in.Patient.Target.Hooks(in.Patient.Slot, in.Patient.Key); err != nil {
		return op.out, err
	}
	if c.Nproc > 0 && p.Only == nil {
		if err := op.limit(ctx, c.Nproc); err != nil {
			return op.out, err
		}
	}
	for range c.Rounds {
		if err := op.round(ctx); err != nil {
			return op.out, err
		}
		left, fresh, err := op.settle(ctx, c.Settle)
		if err != nil {
			return op.out, err
		}
		op.out.Pending = left
		// The target refused all that was posted, and will again.
		if n := len(op.out.Rounds); op.allRefused(&op.out.Rounds[n-1]) {
			return op.out, nil
		}
		// Who has its kill and is still there waits for a CPU or a device, and
		// cannot fork: another freeze would not bring its death nearer.
		if fresh == 0 {
			return op.out, nil
		}
	}
	return op.out, fmt.Errorf("%d culprits are left after %d rounds", op.out.Pending, c.Rounds)
}

// operation is one execution of a plan.
type operation struct {
	in     *Incident
	plan   *Plan
	hooks  *backdoor.Hooks
	out    *Outcome
	killed map[ProcessID]bool // read back as done

	refused int // by the last round
}

// allRefused reports a round of kills every one of which was refused: another
// freeze would stop an innocent machine for nothing.
func (op *operation) allRefused(rd *Round) bool { return rd.Found > 0 && op.refused == rd.Found }

func (op *operation) limit(ctx context.Context, nproc int64) error {
	uid := op.plan.Accused().UID
	if err := op.in.decide("limit", map[string]any{"uid": uid, "nproc": nproc}); err != nil {
		return err
	}
	before, err := op.hooks.PostKnob(ctx, backdoor.Knob{Knob: uapi.KnobUIDNProc, Arg: uid, Value: nproc})
	if Lost(err) {
		return err
	}
	op.in.note("limit set", map[string]any{"before": before}, err)
	return nil
}

// round is one freeze. The kills are posted only while the lock is still held
// after the walk, and only if the audit log has taken them.
func (op *operation) round(ctx context.Context) (err error) {
	patient := op.in.Patient
	if err := op.in.decide("freeze", map[string]any{"round": len(op.out.Rounds) + 1, "accused": op.plan.Accused()}); err != nil {
		return err
	}
	asked := time.Now()
	held, err := patient.Target.Lock(ctx, patient.lockOptions())
	if err != nil {
		op.in.note("freeze failed", nil, err)
		return err
	}
	frozen := time.Now()
	rd := Round{Grant: frozen.Sub(asked), Raw: !held.View().Drained}
	before := patient.Target.Stats()
	results, err := op.operate(ctx, held, &rd)
	// The target is let go whatever happened, also when ctx has ended.
	thawCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	unlock := held.Unlock(thawCtx)
	rd.Frozen = time.Since(frozen)
	cost := patient.Target.Stats().Sub(before)
	rd.Reads, rd.Batches = cost.Reads, cost.Batches
	if err == nil && deferred(results) {
		results, err = op.afterRelease(ctx, results)
	}
	op.count(results, &rd)
	op.out.Rounds = append(op.out.Rounds, rd)
	op.out.Frozen += rd.Frozen
	op.out.Raw = op.out.Raw || rd.Raw
	op.in.note("thaw", map[string]any{"round": rd, "results": summary(results), "cpus": where(held.View())}, errors.Join(err, unlock))
	return errors.Join(err, onlyLost(unlock))
}

// onlyLost: a lease that ended by itself let the target go, which is what was
// wanted; a target that is gone or another is an error.
func onlyLost(err error) error {
	if Lost(err) {
		return err
	}
	return nil
}

// operate walks, decides and posts while the target stands still.
func (op *operation) operate(ctx context.Context, held *backdoor.Held, rd *Round) ([]backdoor.KillResult, error) {
	t, err := op.in.Patient.ProcessTable(ctx)
	if err != nil {
		return nil, err
	}
	rd.Walk, rd.Processes = t.Took, len(t.Processes)
	culprits, spared := op.culprits(t)
	rd.Found = len(culprits)
	if len(culprits) == 0 {
		return nil, nil
	}
	kills := make([]backdoor.Kill, len(culprits))
	for i, c := range culprits {
		kills[i] = backdoor.Kill{PID: uint32(c.PID), StartTime: uint64(c.Start), Signal: uint32(syscall.SIGKILL)}
	}
	if err := op.in.decide("kill", map[string]any{"culprits": names(culprits), "spared": spared, "torn": t.Torn, "raw": rd.Raw}); err != nil {
		return nil, err
	}
	if err := held.Confirm(ctx); err != nil {
		return nil, fmt.Errorf("nothing was posted: %w", err)
	}
	return op.hooks.PostKills(ctx, kills)
}

// culprits are the accused in a later table: the user's processes of now, or
// those of the named ones that are still the same.
func (op *operation) culprits(t *ProcessTable) ([]policy.Process, []policy.Spared) {
	culprits, spared := policy.Of(t.Table, op.plan.Accused(), op.plan.Spare)
	if op.plan.Only == nil {
		return culprits, spared
	}
	same := culprits[:0]
	for _, c := range culprits {
		if slices.Contains(op.plan.Only, ProcessID{c.PID, c.Start}) {
			same = append(same, c)
		}
	}
	return same, spared
}

// afterRelease reads again what was deferred because a CPU was held by NMI.
func (op *operation) afterRelease(ctx context.Context, results []backdoor.KillResult) ([]backdoor.KillResult, error) {
	for range 100 {
		again, err := op.hooks.Results(ctx)
		if err != nil || len(again) != len(results) {
			return results, err // more than one batch: the rest shows in the next walk
		}
		if results = again; !deferred(results) {
			break
		}
		if err := pause.For(ctx, 10*time.Millisecond); err != nil {
			return results, err
		}
	}
	return results, nil
}

func deferred(results []backdoor.KillResult) bool {
	for _, r := range results {
		if r.Result == uapi.ResDeferred {
			return true
		}
	}
	return false
}

// count keeps what was read back apart from what was only posted.
func (op *operation) count(results []backdoor.KillResult, rd *Round) {
	op.refused = 0
	for _, r := range results {
		switch r.Result {
		case uapi.ResDone:
			rd.Done++
			id := ProcessID{int32(r.PID), time.Duration(r.StartTime)}
			if !op.killed[id] {
				op.killed[id] = true
				op.out.Killed++
				op.out.KilledIDs = append(op.out.KilledIDs, id)
			}
		case uapi.ResESRCH:
			op.out.Gone++
		case uapi.ResNone, uapi.ResDeferred:
			op.out.Unread++
		default:
			op.out.Refused = append(op.out.Refused, r)
			op.refused++
		}
	}
}

// settle waits for the killed to die and returns how many culprits are left;
// at once if some of them are fresh, not killed yet.
func (op *operation) settle(ctx context.Context, bound time.Duration) (left, fresh int, err error) {
	end := time.Now().Add(bound)
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		if err := pause.For(ctx, wait); err != nil {
			return 0, 0, err
		}
		t, err := op.in.Patient.ProcessTable(ctx)
		if err != nil {
			return 0, 0, err
		}
		all, _ := op.culprits(t)
		fresh = 0
		for _, c := range all {
			if !op.killed[ProcessID{c.PID, c.Start}] {
				fresh++
			}
		}
		if len(all) == 0 || fresh > 0 || time.Now().After(end) {
			return len(all), fresh, nil
		}
	}
}
