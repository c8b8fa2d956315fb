// SPDX-License-Identifier: Apache-2.0

package beside

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
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

// Bench is of one application.
type Bench struct {
	trial.Program
	work  *threads.Work
	peers argo.Peers
	most  float64 // times what threads take: this project's bound; 0: none
}

// New is a bench whose DSM is to take no more than so many times what threads take; 0:
// there is no bound.
func New(w *threads.Work, most float64) *Bench {
	b := &Bench{work: w, peers: argo.NewPeers(), most: most}
	b.Program = trial.Program{
		Name: w.Name, About: strings.ToUpper(w.Name) + " on the DSM beside plain C threads (section 4.7)", Runs: 5, Timeout: 30 * time.Minute,
		Flags: func(fs *flag.FlagSet) {
			w.Flags(fs)
			b.peers.Flags(fs)
		},
		Takes: func(o *trial.Options) time.Duration {
			return time.Duration(o.Runs*(len(ways)+len(b.peers.There()))) * 3 * time.Second
		},
		Measure: b.measure,
	}
	return b
}

// way is how it is computed.
type way struct {
	name string
	run  func(ctx context.Context, b *threads.Both) (threads.Result, error)
}

// ways are in the figure's order. The second is what others are compared with.
var ways = []way{
	{"C, one thread", func(ctx context.Context, b *threads.Both) (threads.Result, error) { return b.OnThreads(ctx, 1) }},
	{"C, threads", func(ctx context.Context, b *threads.Both) (threads.Result, error) { return b.OnThreads(ctx, b.Threads) }},
	{"DSM, no logs", func(ctx context.Context, b *threads.Both) (threads.Result, error) { return dsm(ctx, b, "--unlogged") }},
	{"DSM, logs", func(ctx context.Context, b *threads.Both) (threads.Result, error) { return dsm(ctx, b) }},
	{"DSM over TCP, no logs", func(ctx context.Context, b *threads.Both) (threads.Result, error) {
		return dsm(ctx, b, "--unlogged", "--tcp")
	}},
	{"DSM, checkpoints", func(ctx context.Context, b *threads.Both) (threads.Result, error) {
		return dsm(ctx, b, "--logs=100", "--aligned")
	}},
}

func (b *Bench) measure(ctx context.Context, o *trial.Options) (fig *result.Figure, err error) {
	both, err := threads.BuildBoth(ctx, b.work)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, both.Close()) }()
	all := b.all()
	took := make([][]float64, len(all))
	rng := rand.New(rand.NewPCG(o.Seed, 2))
	for range o.Runs {
		for _, i := range rng.Perm(len(all)) {
			s, err := all[i].once(ctx, both)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", all[i].name, err)
			}
			took[i] = append(took[i], s)
			o.Logf("%s: %.3f s", all[i].name, s)
		}
	}
	return b.figure(all, took), nil
}

// all are the ways, and the peers that are there.
func (b *Bench) all() []way {
	all := ways[:len(ways):len(ways)]
	for _, p := range b.peers.There() {
		all = append(all, onArgo(p))
	}
	return all
}

// once has the result checked, too.
func (w way) once(ctx context.Context, b *threads.Both) (float64, error) {
	got, err := w.run(ctx, b)
	if err != nil {
		return 0, err
	}
	return got.Seconds, b.Same(got)
}

func (b *Bench) figure(all []way, took [][]float64) *result.Figure {
	name := strings.ToUpper(b.work.Name)
	fig := &result.Figure{Title: name + " on the DSM and by plain C threads", X: "program", Y: "s", Columns: []string{"x C threads"}, Machine: result.Host()}
	fig.Notef("%v; DSM: in Go, over shared memory or TCP, each program bound to a processor", b.work)
	fig.Notef("on DSMs the time ends when node 0 has the whole result, on ours after its digest")
	b.peers.Note(fig)
	limit := result.Median(took[1])
	for i, w := range all {
		m := result.Median(took[i])
		fig.XNames = append(fig.XNames, w.name)
		fig.Add(name, float64(i+1), took[i], strconv.FormatFloat(m/limit, 'f', 2, 64))
		if b.most > 0 && strings.HasPrefix(w.name, "DSM") {
			fig.Bound(w.name, m, b.most*limit, fig.Y, fmt.Sprintf("%g x %s", b.most, all[1].name))
		}
	}
	return fig
}

// dsm runs it on nodes.
func dsm(ctx context.Context, b *threads.Both, args ...string) (threads.Result, error) {
	r, _, err := b.OnNodes(ctx, job.Job{Args: append(args, "--bind")})
	return r, err
}

// onArgo is a peer's program, which leaves its result in a file.
func onArgo(p *argo.Peer) way {
	return way{"ArgoDSM, " + p.Transport, func(ctx context.Context, b *threads.Both) (r threads.Result, err error) {
		path := filepath.Join(b.Dir, "result")
		said, err := p.Run(ctx, argo.Task{Args: append(b.Args(), path), Nodes: b.Threads, Figures: []string{"seconds"}})
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
