// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"lazystate/bench/apps/threads"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/tools/dsmrun/job"
)

var (
	sizes threads.Sizes
	bench = trial.Program{
		Name: "sor", About: "SOR on the DSM beside plain C threads (section 4.7)", Runs: 5, Timeout: 30 * time.Minute,
		Flags:   func(fs *flag.FlagSet) { sizes.Flags(fs, 200, 2) },
		Takes:   func(o *trial.Options) time.Duration { return time.Duration(o.Runs*len(ways)) * 3 * time.Second },
		Measure: measure,
	}
)

func main() { bench.Exit() }

// ways are how it is computed, in the figure's order. The second is what others are
// compared with.
var ways = []struct {
	name string
	run  func(ctx context.Context, b *threads.Both) (threads.Result, error)
}{
	{"C, one thread", func(ctx context.Context, b *threads.Both) (threads.Result, error) {
		one := sizes
		one.Threads = 1
		return b.C.Run(ctx, one)
	}},
	{"C, threads", func(ctx context.Context, b *threads.Both) (threads.Result, error) { return b.C.Run(ctx, sizes) }},
	{"DSM, no logs", func(ctx context.Context, b *threads.Both) (threads.Result, error) { return dsm(ctx, b, "--unlogged") }},
	{"DSM, logs", func(ctx context.Context, b *threads.Both) (threads.Result, error) { return dsm(ctx, b) }},
	{"DSM, checkpoints", func(ctx context.Context, b *threads.Both) (threads.Result, error) {
		return dsm(ctx, b, "--logs=100", "--aligned")
	}},
}

func measure(ctx context.Context, o *trial.Options) (fig *result.Figure, err error) {
	b, err := threads.BuildBoth(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	took := make([][]float64, len(ways))
	rng := rand.New(rand.NewPCG(o.Seed, 2))
	for range o.Runs {
		for _, i := range rng.Perm(len(ways)) {
			s, err := once(ctx, b, i)
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
func once(ctx context.Context, b *threads.Both, way int) (float64, error) {
	got, err := ways[way].run(ctx, b)
	if err != nil {
		return 0, err
	}
	return got.Seconds, b.Same(got)
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
func dsm(ctx context.Context, b *threads.Both, args ...string) (threads.Result, error) {
	r, _, err := b.OnNodes(ctx, sizes, job.Job{Args: append(args, "--bind")})
	return r, err
}
