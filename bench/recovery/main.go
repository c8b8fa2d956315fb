// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"time"

	"lazystate/bench/apps/threads"
	"lazystate/bench/result"
	"lazystate/bench/trial"
)

// settings are the flags beside those of every bench.
var settings = struct {
	work  *threads.Work
	every time.Duration
	criu  string
}{work: threads.SOR(1000, 4)}

var bench = trial.Program{
	Name: "recovery", About: "what the loss of a node costs, beside beginning anew and CRIU (section 4.4)", Runs: 10, Timeout: time.Hour,
	Flags: func(fs *flag.FlagSet) {
		settings.work.Flags(fs)
		fs.DurationVar(&settings.every, "every", time.Second, "a checkpoint after so long, at a barrier")
		fs.StringVar(&settings.criu, "criu", "criu", "CRIU's program")
	},
	Takes:   func(o *trial.Options) time.Duration { return time.Duration(o.Runs) * 30 * time.Second },
	Measure: measure,
}

func main() { bench.Exit() }

// What is measured, in the figure's order.
const (
	recovery = iota
	lost
	cost
	anew
	stands
	restart
)

var names = []string{"recovery", "lost work", "cost", "begin anew", "CRIU, checkpoint", "CRIU, restart"}

// rig has the programs.
type rig struct {
	*threads.Both
	o   *trial.Options
	got [6][]float64
}

func measure(ctx context.Context, o *trial.Options) (fig *result.Figure, err error) {
	if settings.work.Threads < 2 {
		return nil, fmt.Errorf("--nodes %d: one is lost, and others go on", settings.work.Threads)
	}
	r := &rig{o: o}
	if r.Both, err = threads.BuildBoth(ctx, settings.work); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	rng := rand.New(rand.NewPCG(o.Seed, 3))
	for range o.Runs {
		if err := r.pair(ctx, rng); err != nil {
			return nil, err
		}
	}
	version, err := r.coordinated(ctx)
	if err != nil {
		return nil, err
	}
	return r.figure(version), nil
}

// pair is a run without failure and one with.
func (r *rig) pair(ctx context.Context, rng *rand.Rand) error {
	plain, err := r.run(ctx, "")
	if err != nil {
		return fmt.Errorf("without failure: %w", err)
	}
	node := 1 + rng.IntN(settings.work.Threads-1) // node 0 has the clock
	at := 1 + int(float64(plain.operations)*(0.3+0.6*rng.Float64()))
	failed, err := r.run(ctx, fmt.Sprintf("%d@%d", node, at))
	if err == nil {
		err = failed.complete()
	}
	if err != nil {
		return fmt.Errorf("node %d is killed at operation %d: %w", node, at, err)
	}
	for i, v := range map[int]float64{
		recovery: failed.live.Sub(failed.killed).Seconds(), lost: failed.killed.Sub(failed.saved).Seconds(),
		cost: failed.Seconds - plain.Seconds, anew: failed.killed.Sub(failed.began).Seconds(),
	} {
		r.got[i] = append(r.got[i], v)
	}
	r.o.Logf("node %d, operation %d of %d: %.3f s instead of %.3f", node, at, plain.operations, failed.Seconds, plain.Seconds)
	return nil
}

func (r *rig) figure(criu string) *result.Figure {
	fig := &result.Figure{Title: "What the loss of a node costs", X: "measurement", Y: "s", XNames: names, Machine: result.Host()}
	fig.Notef("%v of this machine over shared memory; a checkpoint every %v, at a barrier", settings.work, settings.every)
	fig.Notef("CRIU: the same by plain C threads, taken down and set up in its midst; %s", criu)
	for i := range names {
		fig.Add("SOR", float64(i+1), r.got[i])
	}
	return fig
}
