// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"lazystate/bench/apps/dsmapps/program"
	"lazystate/bench/apps/threads"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/tools/dsmrun/job"
)

var (
	sizes threads.Sizes
	bench = trial.Program{
		Name: "sor", About: "SOR on the DSM beside plain C threads (section 4.7)", Runs: 5, Timeout: 30 * time.Minute,
		Flags: func(fs *flag.FlagSet) {
			fs.IntVar(&sizes.Size, "size", 1024, "points in a row of the grid")
			fs.IntVar(&sizes.Iterations, "iterations", 200, "sweeps of both colours")
			fs.IntVar(&sizes.Threads, "nodes", 2, "processes, or threads")
		},
		Takes:   func(o *trial.Options) time.Duration { return time.Duration(o.Runs*len(ways)) * 3 * time.Second },
		Measure: measure,
	}
)

func main() { bench.Exit() }

// rig has the programs.
type rig struct {
	bin  string
	c    threads.SOR
	want program.Digest // "" until there is a result
}

// ways are how it is computed, in the figure's order. The second is what others are
// compared with.
var ways = []struct {
	name string
	run  func(ctx context.Context, r *rig) (threads.Result, error)
}{
	{"C, one thread", func(ctx context.Context, r *rig) (threads.Result, error) {
		one := sizes
		one.Threads = 1
		return r.c.Run(ctx, one)
	}},
	{"C, threads", func(ctx context.Context, r *rig) (threads.Result, error) { return r.c.Run(ctx, sizes) }},
	{"DSM, no logs", func(ctx context.Context, r *rig) (threads.Result, error) { return r.dsm(ctx, "--unlogged") }},
	{"DSM, logs", func(ctx context.Context, r *rig) (threads.Result, error) { return r.dsm(ctx) }},
	{"DSM, checkpoints", func(ctx context.Context, r *rig) (threads.Result, error) {
		return r.dsm(ctx, "--logs=100", "--aligned")
	}},
}

func measure(ctx context.Context, o *trial.Options) (fig *result.Figure, err error) {
	r := &rig{}
	if r.bin, err = os.MkdirTemp("", "sor"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.bin)) }()
	if err := job.Build(ctx, r.bin, "lazystate/bench/apps/dsmapps"); err != nil {
		return nil, err
	}
	if r.c, err = threads.Build(ctx, r.bin); err != nil {
		return nil, err
	}
	took := make([][]float64, len(ways))
	rng := rand.New(rand.NewPCG(o.Seed, 2))
	for range o.Runs {
		for _, i := range rng.Perm(len(ways)) {
			s, err := r.once(ctx, i)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", ways[i].name, err)
			}
			took[i] = append(took[i], s)
			o.Logf("%s: %.3f s", ways[i].name, s)
		}
	}
	return figure(took), nil
}

// once has the result checked, too.
func (r *rig) once(ctx context.Context, way int) (float64, error) {
	got, err := ways[way].run(ctx, r)
	if err != nil {
		return 0, err
	}
	if r.want == "" {
		r.want = got.Digest
	}
	if got.Digest != r.want {
		return 0, fmt.Errorf("the result is %s, and was %s", got.Digest, r.want)
	}
	return got.Seconds, nil
}

func figure(took [][]float64) *result.Figure {
	fig := &result.Figure{Title: "SOR on the DSM and by plain C threads", X: "program", Y: "s", Columns: []string{"x C threads"}, Machine: result.Host()}
	fig.Notef("%d x %d points, %d iterations, %d processes or threads; DSM: in Go, over shared memory, each program bound to a processor", sizes.Size, sizes.Size, sizes.Iterations, sizes.Threads)
	limit := result.Median(took[1])
	for i, w := range ways {
		fig.XNames = append(fig.XNames, w.name)
		fig.Add("SOR", float64(i+1), took[i], strconv.FormatFloat(result.Median(took[i])/limit, 'f', 2, 64))
	}
	return fig
}

// dsm runs it on nodes.
func (r *rig) dsm(ctx context.Context, args ...string) (got threads.Result, err error) {
	j := job.Job{
		Bin: r.bin, Nodes: sizes.Threads, Args: append(args, "--bind"),
		Program: []string{filepath.Join(r.bin, "dsmapps"), "sor", "--size", strconv.Itoa(sizes.Size), "--iterations", strconv.Itoa(sizes.Iterations)},
	}
	if err := j.Needs(ctx); err != nil {
		return got, err
	}
	run, err := j.Run(ctx)
	if err != nil {
		return got, err
	}
	if err := json.Unmarshal(run.Output, &got); err != nil || got.Digest == "" {
		return got, fmt.Errorf("it says %q: %w", run.Output, err)
	}
	return got, nil
}
