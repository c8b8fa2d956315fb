// SPDX-License-Identifier: Apache-2.0

package useful

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lazystate/bench/guest"
	"lazystate/internal/pause"
	"lazystate/repair"
	"lazystate/repair/drill"
	"lazystate/repair/policy"
	"lazystate/tools/lab"
)

// Program is the useful program, running in a guest.
type Program struct {
	drill.Useful
	Ideal drill.Iterations // alone
	Stop  context.CancelFunc
}

const (
	firstLoops = 400_000
	iteration  = 500 * time.Millisecond // about; the paper's took 5 s
	alone      = 8 * time.Second
)

// Start calibrates the useful program and watches it alone. A host that is
// busy elsewhere spoils a calibration: it is made again, twice.
func Start(ctx context.Context, g *guest.Guest) (*Program, error) {
	var err error
	for range 3 {
		var p *Program
		if p, err = calibrated(ctx, g); err == nil || ctx.Err() != nil {
			return p, err
		}
	}
	return nil, err
}

func calibrated(ctx context.Context, g *guest.Guest) (*Program, error) {
	try, its, err := watched(ctx, g, firstLoops, 3*time.Second)
	if err != nil {
		return nil, err
	}
	try.Stop()
	p, its, err := watched(ctx, g, int(firstLoops*float64(iteration)/float64(its.Median())), alone)
	if err == nil {
		p.Ideal = its
	}
	return p, err
}

// watched runs the program for a while and returns it, running, with the
// iterations that ended.
func watched(ctx context.Context, g *guest.Guest, loops int, length time.Duration) (*Program, drill.Iterations, error) {
	p := run(ctx, g, loops)
	began := time.Now()
	err := pause.For(ctx, length)
	its := p.Between(began, time.Now())
	if err == nil {
		err = believable(its, length)
	}
	if err != nil {
		p.Stop()
		return nil, nil, err
	}
	return p, its, nil
}

// believable refuses iterations whose own times do not fill the time they were
// watched for: then the guest's clock stands still, and all its times lie.
func believable(its drill.Iterations, length time.Duration) error {
	var sum time.Duration
	for _, it := range its {
		sum += it.Took
	}
	switch {
	case len(its) < 3:
		return fmt.Errorf("the useful program ended %d iterations in %v", len(its), length)
	case sum < length/4:
		return fmt.Errorf("the guest's clock says %v of %v: it cannot be believed", sum, length)
	}
	return nil
}

func run(ctx context.Context, g *guest.Guest, loops int) *Program {
	p := &Program{}
	ctx, p.Stop = context.WithCancel(ctx)
	go g.VM.Stream(ctx, lab.Proc{Argv: []string{"/bin/rogue", "useful", fmt.Sprint(loops), "8"}, UID: drill.UsefulUID, OOMAdj: -900}, nil, &p.Useful, nil)
	return p
}

// outcome of the runs of one point.
type outcome struct {
	seconds []float64
	ended   int
	killed  int
	healed  time.Duration // release to the end of the first repair; of the last run
}

func (o *outcome) add(one outcome) {
	o.seconds = append(o.seconds, one.seconds...)
	o.ended += one.ended
	o.killed += one.killed
	o.healed = max(o.healed, one.healed)
}

// beside watches the useful program for the window, with rogues beside it.
// What is left of them is removed afterwards by a repair that is not timed.
func beside(ctx context.Context, g *guest.Guest, p *Program, c Config, rogue drill.Program, withRepair bool) (o outcome, err error) {
	var h *Healing
	if withRepair {
		if h, err = Heal(ctx, g, c.monitor, c.Drill); err != nil {
			return o, err
		}
	}
	released := time.Now()
	_, err = g.VM.Start(ctx, lab.Proc{Argv: append([]string{"/bin/rogue"}, rogue.Args...), UID: rogue.UID})
	if err == nil {
		err = pause.For(ctx, c.window)
	}
	end := time.Now()
	if h != nil {
		incidents, herr := h.Stop()
		err = errors.Join(err, herr)
		for _, in := range incidents {
			o.killed += in.Killed
			if in.Result == repair.Healed.String() && !in.Repaired.IsZero() && o.healed == 0 {
				o.healed = in.Repaired.Sub(released)
			}
		}
	}
	if err != nil {
		return o, err
	}
	its := begunAfter(p.Between(released, end), released)
	o.ended, o.seconds = len(its), withUnended(p, its, released, end)
	return o, cleanUp(ctx, g, p)
}

// begunAfter leaves out the iteration that the release cut in two.
func begunAfter(its drill.Iterations, released time.Time) drill.Iterations {
	return slices.DeleteFunc(its, func(it drill.Iteration) bool { return it.At.Add(-it.Took).Before(released) })
}

// withUnended adds the iteration under way at the end, if it has taken longer
// than any that ended.
func withUnended(p *Program, its drill.Iterations, released, end time.Time) []float64 {
	all, from := seconds(its), released
	if len(its) > 0 {
		from = its[len(its)-1].At
	}
	if lasted := end.Sub(from); lasted > its.Quantile(1) && lasted > p.Ideal.Quantile(1) {
		all = append(all, lasted.Seconds())
	}
	return all
}

// cleanUp kills what is left of the rogues and waits until the useful program
// takes less than twice its time alone: a busy host does not allow more.
func cleanUp(ctx context.Context, g *guest.Guest, p *Program) error {
	if left, err := g.CountOf(ctx, drill.RogueUID); err != nil || left > 0 {
		if err := killRogues(ctx, g); err != nil {
			return fmt.Errorf("clean up: %w", err)
		}
	}
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); {
		began := time.Now()
		if err := pause.For(ctx, 4*time.Second); err != nil {
			return err
		}
		if its := p.Between(began, time.Now()); len(its) > 2 && its.Median() < 2*p.Ideal.Median() {
			return nil
		}
	}
	return errors.New("clean up: the useful program did not recover")
}

// killRogues is a repair with a policy that accuses whoever has most tasks.
func killRogues(ctx context.Context, g *guest.Guest) error {
	h := &repair.ProcRepairHealer{
		Policy: policy.Basic{Kind: policy.PolicyTooManyProcs, Limit: 1}, Reaper: repair.Reaper{Settle: time.Minute},
		Spare: policy.Spare{UIDs: []uint32{drill.UsefulUID}},
	}
	return g.Writing(ctx, func(p *repair.Patient) error {
		in := &repair.Incident{ID: "clean-up", Patient: p, Attempt: 1, Began: time.Now()}
		plan, err := h.Plan(ctx, in)
		if err != nil || !plan.Needed() {
			return err
		}
		if plan.Accused().UID != drill.RogueUID {
			return fmt.Errorf("user %d is accused", plan.Accused().UID)
		}
		_, err = h.Apply(ctx, in, plan)
		return err
	})
}
