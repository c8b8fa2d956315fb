// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/tools/dsmd/status"
	"lazystate/tools/dsmrun/job"
)

// measurement is of one run.
type measurement struct {
	seconds float64 // of the application
	region  int
	nodes   []status.Report
	log     []string
}

// mean is over all nodes.
func (m measurement) mean(of func(status.Report) float64) float64 {
	sum := 0.0
	for _, r := range m.nodes {
		sum += of(r)
	}
	return sum / float64(len(m.nodes))
}

// most is of all nodes.
func (m measurement) most(of func(status.Report) float64) float64 {
	most := 0.0
	for _, r := range m.nodes {
		most = max(most, of(r))
	}
	return most
}

// bed runs applications.
type bed struct {
	o     *trial.Options
	bin   string
	nodes int
	tiny  bool
	debug bool              // with the daemons' log
	seen  map[string]string // the digest of what ran
}

func newBed(ctx context.Context, o *trial.Options) (*bed, error) {
	dir, err := os.MkdirTemp("", "table43")
	if err != nil {
		return nil, err
	}
	b := &bed{o: o, bin: dir, nodes: settings.nodes, tiny: settings.tiny, seen: map[string]string{}}
	return b, job.Build(ctx, dir, "lazystate/bench/apps/dsmapps")
}

func (b *bed) close() error { return os.RemoveAll(b.bin) }

// size is how large a run of an application is, and its L.
func (b *bed) size(a app) (args []string, limit string) {
	if b.tiny {
		return a.tiny, "0.01"
	}
	return a.args, a.limit
}

// once runs an application under a policy. Its result is the same under each.
func (b *bed) once(ctx context.Context, a app, p policy) (m measurement, err error) {
	args, limit := b.size(a)
	j := job.Job{Bin: b.bin, Nodes: b.nodes, Args: p.args(limit), Program: append([]string{filepath.Join(b.bin, "dsmapps")}, args...)}
	if b.debug {
		j.Args = append(j.Args, "--log-level", "debug")
		j.Line = func(l string) { m.log = append(m.log, l) }
	}
	if err := j.Needs(ctx); err != nil {
		return m, err
	}
	r, err := j.Run(ctx)
	if err != nil {
		return m, fmt.Errorf("%s, %s: %w", a.name, p.name, err)
	}
	var said struct {
		Digest  string
		Seconds float64
	}
	if err := json.Unmarshal(r.Output, &said); err != nil || said.Digest == "" {
		return m, fmt.Errorf("%s says %q: %w", a.name, r.Output, err)
	}
	what := strings.Join(args, " ")
	if before, ok := b.seen[what]; ok && before != said.Digest {
		return m, fmt.Errorf("%s, %s: the result is %s, and was %s", what, p.name, said.Digest, before)
	}
	b.seen[what] = said.Digest
	m.seconds, m.region, m.nodes = said.Seconds, j.Region, r.Reports
	b.o.Logf("%s, %s: %.2f s, %.1f checkpoints a node", a.name, p.name, m.seconds, m.mean(func(r status.Report) float64 { return float64(r.Counters.Saved) }))
	return m, nil
}

// all runs an application under policies, in an order drawn for each run.
func (b *bed) all(ctx context.Context, a app, which []policy) (map[string][]measurement, error) {
	rng := rand.New(rand.NewPCG(b.o.Seed, 43))
	got := map[string][]measurement{}
	for range b.o.Runs {
		for _, i := range rng.Perm(len(which)) {
			m, err := b.once(ctx, a, which[i])
			if err != nil {
				return nil, err
			}
			got[which[i].name] = append(got[which[i].name], m)
		}
	}
	return got, nil
}

// samples of all runs.
func samples(all []measurement, of func(measurement) float64) (s []float64) {
	for _, m := range all {
		s = append(s, of(m))
	}
	return s
}

func seconds(m measurement) float64 { return m.seconds }

// median of a quantity.
func median(all []measurement, of func(measurement) float64) float64 {
	return result.Median(samples(all, of))
}
