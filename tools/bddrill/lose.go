// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"lazystate/internal/pause"
	"lazystate/repair/drill"
	"lazystate/tools/lab"
)

// lostAfter is how long nothing may work until a machine counts as lost.
const lostAfter = 60 * time.Second

// lose runs a drill without repair. If the machine is not lost the next size
// is tried, each on a fresh machine.
func (r *runner) lose(ctx context.Context, d *drill.Drill) drillRun {
	out := drillRun{Drill: d.Name, Carrier: r.carrier, Expect: "lost"}
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
	if err := m.login(ctx); err != nil {
		return false, fmt.Errorf("before anything was released: %w", err)
	}
	r.out.say("%s: released without repair: %s", d.Name, describe([]drill.Program{p}))
	if err := m.releaseAll(ctx, []drill.Program{p}); err != nil {
		return false, err
	}
	released := time.Now()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	login, fork := again(ctx, m.login), again(ctx, m.fork)
	for {
		if err := pause.For(ctx, 5*time.Second); err != nil {
			return false, err
		}
		idle := time.Since(released)
		if last, ok := m.useful.Last(); ok && last.At.After(released) {
			idle = time.Since(last.At)
		}
		noLogin, noFork := login.silence(released), fork.silence(released)
		r.out.say("%s: without repair: for %v no iteration, for %v no login at the console, for %v no fork by root",
			d.Name, idle.Round(time.Second), noLogin.Round(time.Second), noFork.Round(time.Second))
		switch {
		case idle >= lostAfter:
			out.Lost = fmt.Sprintf("no iteration for %v", lostAfter)
		case noLogin >= lostAfter && noFork >= lostAfter:
			out.Lost = fmt.Sprintf("no login at the console and no fork by root for %v", lostAfter)
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

// attempts is when something that is tried again and again last worked.
type attempts struct{ last atomic.Int64 }

func (a *attempts) silence(since time.Time) time.Duration {
	if ns := a.last.Load(); ns != 0 {
		since = time.Unix(0, ns)
	}
	return time.Since(since)
}

// again tries until ctx ends, each time for little longer than what counts as
// lost, with a pause between.
func again(ctx context.Context, try func(context.Context) error) *attempts {
	a := &attempts{}
	go func() {
		for ctx.Err() == nil {
			bound, done := context.WithTimeout(ctx, lostAfter+5*time.Second)
			err := try(bound)
			done()
			if err == nil {
				a.last.Store(time.Now().UnixNano())
			}
			if pause.For(ctx, 2*time.Second) != nil {
				return
			}
		}
	}()
	return a
}

// login is what an operator tries at a sick machine's console.
func (m *machine) login(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lostAfter+5*time.Second)
	defer cancel()
	return m.vm.Login(ctx)
}

// fork starts a program as root, without the console, and waits for its end.
func (m *machine) fork(ctx context.Context) error {
	exit, err := m.vm.Stream(ctx, lab.Proc{Argv: []string{"/bin/true"}}, nil, nil, nil)
	if err == nil && exit != 0 {
		err = fmt.Errorf("true: exit %d", exit)
	}
	return err
}
