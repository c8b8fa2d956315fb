// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"lazystate/repair/drill"
	"lazystate/tools/lab"
)

// lostAfter is how long nothing may work until a machine counts as lost.
const lostAfter = 60 * time.Second

// lose runs a drill without repair. If the machine is not lost the next size
// is tried, each on a fresh machine.
func (r *runner) lose(ctx context.Context, d *drill.Drill) drillRun {
	out := drillRun{Drill: d.Name, Expect: "lost"}
	sizes := append([]drill.Program{d.Rogues[0]}, d.Grow...)
	for _, p := range sizes {
		lost, err := r.loseOn(ctx, d, p, &out)
		if err != nil {
			out.Why = err.Error()
			r.out.say("%s: FAILED: %v", d.Name, err)
			return out
		}
		if lost {
			out.OK = true
			return out
		}
	}
	out.Why = "the machine was not lost without repair, up to " + describe(sizes[len(sizes)-1:])
	return out
}

func (r *runner) loseOn(ctx context.Context, d *drill.Drill, p drill.Program, out *drillRun) (lost bool, err error) {
	m, err := r.fresh(ctx, d, out)
	if m != nil {
		defer func() {
			if down := m.down(); err == nil {
				err = down
			}
		}()
	}
	if err != nil {
		return false, err
	}
	if err := r.measure(ctx, d, m, out); err != nil {
		return false, err
	}
	r.out.say("%s: released without repair: %s", d.Name, describe([]drill.Program{p}))
	if err := m.releaseAll(ctx, []drill.Program{p}); err != nil {
		return false, err
	}
	released := time.Now()
	forked := r.tryForks(ctx, m)
	for {
		if err := sleep(ctx, 5*time.Second); err != nil {
			return false, err
		}
		idle := time.Since(released)
		if last, ok := m.useful.Last(); ok && last.At.After(released) {
			idle = time.Since(last.At)
		}
		cannotFork := forked.silence(released)
		r.out.say("%s: without repair: no iteration for %v, no fork by root for %v", d.Name, idle.Round(time.Second), cannotFork.Round(time.Second))
		switch {
		case idle >= lostAfter:
			out.Lost = fmt.Sprintf("no iteration for %v", lostAfter)
		case cannotFork >= lostAfter:
			out.Lost = fmt.Sprintf("root cannot fork for %v", lostAfter)
		case time.Since(released) > lostAfter+45*time.Second:
			out.During = m.useful.Between(released, time.Now()).Median()
			r.out.say("%s: not lost by %s: an iteration takes %v", d.Name, describe([]drill.Program{p}), out.During)
			return false, nil
		}
		if out.Lost != "" {
			out.Lost += " (" + describe([]drill.Program{p}) + ")"
			r.out.say("%s: LOST: %s", d.Name, out.Lost)
			return true, nil
		}
	}
}

// forks is when root last could start a program.
type forks struct{ ok chan time.Time }

func (f *forks) silence(since time.Time) time.Duration {
	last := since
	select {
	case t := <-f.ok:
		last = t
		f.ok <- t
	default:
	}
	return time.Since(last)
}

// tryForks starts a program as root again and again until ctx ends.
func (r *runner) tryForks(ctx context.Context, m *machine) *forks {
	f := &forks{ok: make(chan time.Time, 1)}
	ctx, cancel := context.WithCancel(ctx)
	m.alsoStop = cancel
	go func() {
		for ctx.Err() == nil {
			bound, done := context.WithTimeout(ctx, lostAfter+5*time.Second)
			exit, err := m.vm.Stream(bound, lab.Proc{Argv: []string{"/bin/true"}}, nil, nil, nil)
			done()
			if err == nil && exit == 0 {
				select {
				case <-f.ok:
				default:
				}
				f.ok <- time.Now()
			}
			if sleep(ctx, 2*time.Second) != nil {
				return
			}
		}
	}()
	return f
}
