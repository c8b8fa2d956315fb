// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"lazystate/bench/guest"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/bench/useful"
	"lazystate/internal/pause"
	"lazystate/repair/drill"
	"lazystate/tools/bdmon/daemon"
	"lazystate/tools/lab"
)

// outcome of one peer on one drill.
type outcome struct {
	healed bool
	after  time.Duration // from the release
	left   int           // tasks of the rogue user
	kills  int           // told by the kernel's OOM killer and by the peer's log
	harmed []string      // others that are gone
	slow   float64       // the useful program's time at the end, of its time alone; 0: no iteration ended
}

func (o outcome) String() string {
	s := "not healed"
	if o.healed {
		s = fmt.Sprintf("healed after %v", o.after.Round(100*time.Millisecond))
	}
	return fmt.Sprintf("%s, %d rogues left, %d kills, harmed %v, useful program at the end: %s", s, o.left, o.kills, o.harmed, o.pace())
}

func (o outcome) pace() string {
	if o.slow == 0 {
		return "none ended"
	}
	return fmt.Sprintf("%.3g", o.slow)
}

// once boots a machine, prepares the peer, releases the drill and watches.
func (b *bench) once(ctx context.Context, o *trial.Options, p peer, d *drill.Drill, files map[string]string) (out outcome, m result.Machine, err error) {
	g, err := guest.Boot(ctx, o, guest.Config{
		Name: "peers", Params: []string{"allow_repair=1", "limits=" + daemon.Limits}, Reader: true,
		Lab: lab.Config{Files: files, SwapMiB: 256, Packages: p.packages},
	})
	if err != nil {
		return out, m, err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	m = g.Machine()
	if err := g.GiveKey(ctx); err != nil {
		return out, m, err
	}
	if p.prepare != nil {
		if err := p.prepare(ctx, g); err != nil {
			return out, m, err
		}
	}
	for _, decent := range d.Decent {
		if _, err := g.Release(ctx, decent); err != nil {
			return out, m, err
		}
	}
	prog, err := useful.Start(ctx, g)
	if err != nil {
		return out, m, err
	}
	defer prog.Stop()
	out, err = b.watch(ctx, o, g, prog, p, d)
	return out, m, err
}

func (b *bench) watch(ctx context.Context, o *trial.Options, g *guest.Guest, prog *useful.Program, p peer, d *drill.Drill) (out outcome, err error) {
	before, err := g.VM.PS(ctx)
	if err != nil {
		return out, err
	}
	stop := func() error { return nil }
	if p.ours {
		if stop, err = b.heal(ctx, o, g, d); err != nil {
			return out, err
		}
	}
	released := time.Now()
	for _, rogue := range d.Rogues {
		if _, err := g.VM.Start(ctx, p.release(rogue)); err != nil {
			return out, errors.Join(err, stop())
		}
	}
	err = pause.For(ctx, o.Window)
	end := time.Now()
	if err := errors.Join(err, stop()); err != nil {
		return out, err
	}
	out.judge(prog.Ideal, prog.Between(released, end), released, end)
	if out.left, err = g.CountOf(ctx, drill.RogueUID); err != nil {
		return out, err
	}
	return out, errors.Join(out.bystanders(ctx, g, before), out.countKills(ctx, g, p))
}

// last is how long a healed machine must be well, as in our own drills.
const last = 30 * time.Second

// judge finds the first moment from which on the useful program ran as alone for so
// long, and for most of what follows: neighbours of the host spoil a stretch now and
// then, a machine that is sick again spoils all. its are its iterations from the
// release to the end of the window.
func (o *outcome) judge(alone, its drill.Iterations, released, end time.Time) {
	usual := alone.Median()
	o.slow = float64(since(its, end.Add(-last)).Median()) / float64(usual)
	// A lost machine ends few iterations, each of which may be short; a busy
	// host ends three in five of the usual.
	enough := int(last * 3 / (5 * usual))
	var well []bool // of the stretch that begins at each step
	const step = 200 * time.Millisecond
	for at := released; !at.Add(last).After(end); at = at.Add(step) {
		stretch := until(since(its, at), at.Add(last))
		well = append(well, len(stretch) >= enough && stretch.AsBefore(alone, drill.Well))
	}
	good := 0
	for i := len(well) - 1; i >= 0; i-- {
		if !well[i] {
			continue
		}
		if good++; 2*good > len(well)-i {
			o.healed, o.after = true, time.Duration(i)*step
		}
	}
	if !o.healed {
		return
	}
	first := released.Add(o.after)
	for _, it := range until(since(its, first), first.Add(last)) { // what the stretch forgives is not yet healed
		if it.Took > 2*usual {
			o.after = it.At.Sub(released)
		}
	}
}

func until(its drill.Iterations, at time.Time) drill.Iterations {
	return its[:len(its)-len(since(its, at))]
}

func since(its drill.Iterations, at time.Time) drill.Iterations {
	i, _ := slices.BinarySearchFunc(its, at, func(it drill.Iteration, t time.Time) int { return it.At.Compare(t) })
	return its[i:]
}

// bystanders names the processes of other users that are gone.
func (o *outcome) bystanders(ctx context.Context, g *guest.Guest, before []lab.Process) error {
	after, err := g.VM.PS(ctx)
	if err != nil {
		return err
	}
	alive := map[int]bool{}
	for _, p := range after {
		alive[p.PID] = p.State != "Z"
	}
	for _, p := range before {
		if kernel := p.PID == 2 || p.PPID == 2; !kernel && p.UID != drill.RogueUID && !alive[p.PID] {
			o.harmed = append(o.harmed, fmt.Sprintf("%s(uid %d)", p.Comm, p.UID))
		}
	}
	return nil
}

// countKills reads the kernel's log on the console and the peer's own.
func (o *outcome) countKills(ctx context.Context, g *guest.Guest, p peer) error {
	console, err := os.ReadFile(g.VM.Serial())
	if err != nil {
		return err
	}
	o.kills = bytes.Count(console, []byte("Out of memory: Killed process"))
	if p.log == "" {
		return nil
	}
	own, err := g.VM.ReadFile(ctx, p.log)
	o.kills += bytes.Count(own, []byte(p.kill))
	return err
}
