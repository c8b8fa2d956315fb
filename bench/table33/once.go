// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"lazystate/backdoor"
	"lazystate/bench/guest"
	"lazystate/repair"
	"lazystate/repair/drill"
	"lazystate/repair/policy"
)

// repaired is one repair.
type repaired struct {
	acted, gone    time.Duration // from the start of the diagnosis
	walk, frozen   time.Duration
	reads, batches uint64
	rounds, killed int
}

const (
	growing = 90 * time.Second // most time for a bomb to reach its size
	limit   = 50               // tasks of one user that are no bomb
)

// once releases a bomb of n processes, waits until it is there, and repairs the
// patient, which is the guest by whatever carrier.
func once(ctx context.Context, g *guest.Guest, p *repair.Patient, bomb string, n int) (r repaired, err error) {
	pid, err := g.Release(ctx, drill.Program{Args: []string{bomb, strconv.Itoa(n)}, UID: drill.RogueUID})
	if err != nil {
		return r, err
	}
	defer g.Stop(pid)
	if err := g.WaitCount(ctx, drill.RogueUID, n-n/50, false, growing); err != nil {
		return r, err
	}
	r, err = heal(ctx, p)
	return r, errors.Join(err, g.WaitCount(ctx, drill.RogueUID, 0, true, growing))
}

// heal is diagnosis and repair as bdmon's healer makes them, without the wait
// that confirms an event.
func heal(ctx context.Context, p *repair.Patient) (r repaired, err error) {
	h := &repair.ProcRepairHealer{
		Policy: policy.Basic{Kind: policy.PolicyTooManyProcs, Limit: limit},
		Reaper: repair.Reaper{Settle: growing},
	}
	in := &repair.Incident{ID: "table33", Patient: p, Attempt: 1, Began: time.Now()}
	before := p.Target.Stats()
	began := time.Now()
	plan, err := h.Plan(ctx, in)
	if err != nil {
		return r, err
	}
	if !plan.Needed() || plan.Accused().UID != drill.RogueUID {
		return r, fmt.Errorf("the bomb was not accused: %s", plan.Why)
	}
	diagnosed := time.Since(began)
	out, err := h.Apply(ctx, in, plan)
	r.gone = time.Since(began)
	if err != nil {
		return r, err
	}
	r.acted, r.walk, r.killed, r.rounds = diagnosed, plan.Walk, out.Killed, len(out.Rounds)
	for _, round := range out.Rounds {
		r.acted += round.Grant + round.Frozen
		r.frozen += round.Frozen
	}
	err = count(&r, p.Target.Stats().Sub(before), plan, out)
	return r, err
}

// count takes the operations of diagnosis and rounds. Those of the wait for
// the last process poll the target, so their number says nothing; a round's
// figures hold its own walk.
func count(r *repaired, all backdoor.Stats, plan *repair.Plan, out *repair.Outcome) error {
	r.reads, r.batches = plan.Reads.Reads, plan.Reads.Batches
	for _, round := range out.Rounds {
		r.reads += round.Reads
		r.batches += round.Batches
	}
	if r.reads > all.Reads || r.batches > all.Batches {
		return fmt.Errorf("%d reads in %d batches are told, the target saw %d in %d", r.reads, r.batches, all.Reads, all.Batches)
	}
	return nil
}
