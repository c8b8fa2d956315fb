// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"lazystate/bench/apps/dsmapps/program"
	"lazystate/bench/apps/threads"
	"lazystate/bench/argo"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/tools/dsmrun/job"
)

var (
	sizes threads.Sizes
	peers = argo.NewPeers()
	bench = trial.Program{
		Name: "sor", About: "SOR on the DSM beside plain C threads (section 4.7)", Runs: 5, Timeout: 30 * time.Minute,
		Flags: func(fs *flag.FlagSet) {
			sizes.Flags(fs, 200, 2)
			peers.Flags(fs)
		},
		Takes: func(o *trial.Options) time.Duration {
			return time.Duration(o.Runs*(len(ways)+len(peers.There()))) * 3 * time.Second
		},
		Measure: measure,
	}
)

func main() { bench.Exit() }

// way is how it is computed.
type way struct {
	name string
	run  func(ctx context.Context, b *threads.Both) (threads.Result, error)
}

// ways are in the figure's order. The second is what others are compared with.
var ways = []way{
	{"C, one thread", func(ctx context.Context, b *threads.Both) (threads.Result, error) {
		one := sizes
		one.Threads = 1
		return b.C.Run(ctx, one)
	}},
	{"C, threads", func(ctx context.Context, b *threads.Both) (threads.Result, error) { return b.C.Run(ctx, sizes) }},
	{"DSM, no logs", func(ctx context.Context, b *threads.Both) (threads.Result, error) { return dsm(ctx, b, "--unlogged") }},
	{"DSM, logs", func(ctx context.Context, b *threads.Both) (threads.Result, error) { return dsm(ctx, b) }},
	{"DSM over TCP, no logs", func(ctx context.Context, b *threads.Both) (threads.Result, error) {
		return dsm(ctx, b, "--unlogged", "--tcp")
	}},
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
	all := slices.Clone(ways)
	for _, p := range peers.There() {
		all = append(all, onArgo(p))
	}
	took := make([][]float64, len(all))
	rng := rand.New(rand.NewPCG(o.Seed, 2))
	for range o.Runs {
		for _, i := range rng.Perm(len(all)) {
			s, err := all[i].once(ctx, b)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", all[i].name, err)
			}
			took[i] = append(took[i], s)
			o.Logf("%s: %.3f s", all[i].name, s)
		}
	}
	return figure(all, took), nil
}

// once has the result checked, too.
func (w way) once(ctx context.Context, b *threads.Both) (float64, error) {
	got, err := w.run(ctx, b)
	if err != nil {
		return 0, err
	}
	return got.Seconds, b.Same(got)
}

// mostOfThreads is what our DSM is to take, of what threads take: this project's bound.
const mostOfThreads = 2

func figure(all []way, took [][]float64) *result.Figure {
	fig := &result.Figure{Title: "SOR on the DSM and by plain C threads", X: "program", Y: "s", Columns: []string{"x C threads"}, Machine: result.Host()}
	fig.Notef("%d x %d points, %d iterations, %d processes or threads; DSM: in Go, over shared memory or TCP, each program bound to a processor", sizes.Size, sizes.Size, sizes.Iterations, sizes.Threads)
	fig.Notef("on DSMs the time ends when node 0 has all points, on ours after their digest")
	peers.Note(fig)
	limit := result.Median(took[1])
	for i, w := range all {
		m := result.Median(took[i])
		fig.XNames = append(fig.XNames, w.name)
		fig.Add("SOR", float64(i+1), took[i], strconv.FormatFloat(m/limit, 'f', 2, 64))
		if strings.HasPrefix(w.name, "DSM") {
			fig.Bound(w.name, m, mostOfThreads*limit, fmt.Sprintf("%d x %s", mostOfThreads, all[1].name))
		}
	}
	return fig
}

// dsm runs it on nodes.
func dsm(ctx context.Context, b *threads.Both, args ...string) (threads.Result, error) {
	r, _, err := b.OnNodes(ctx, sizes, job.Job{Args: append(args, "--bind")})
	return r, err
}

// onArgo is a peer's program, which leaves the points in a file.
func onArgo(p *argo.Peer) way {
	return way{"ArgoDSM, " + p.Transport, func(ctx context.Context, b *threads.Both) (r threads.Result, err error) {
		path := filepath.Join(b.Dir, "points")
		said, err := p.Run(ctx, argo.Task{
			Args: []string{strconv.Itoa(sizes.Size), strconv.Itoa(sizes.Iterations), path}, Nodes: sizes.Threads, Figures: []string{"seconds"},
		})
		if err != nil {
			return r, err
		}
		f, err := os.Open(path)
		if err != nil {
			return r, err
		}
		h := program.NewHash()
		_, err = io.Copy(h, f)
		err = errors.Join(err, f.Close(), os.Remove(path)) // the next run makes its own
		return threads.Result{Seconds: said.Figures["seconds"], Digest: h.Digest()}, err
	}}
}
