// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/dsm/client"
	"lazystate/dsm/pager"
	"lazystate/tools/dsmrun/job"
)

var program = trial.Program{
	Name: "dsmmicro", About: "page faults, barriers and locks of the DSM on two nodes (section 4.7)", Runs: 5, Timeout: 20 * time.Minute,
	Flags: func(fs *flag.FlagSet) { peers.Flags(fs) },
	Takes: func(o *trial.Options) time.Duration {
		return time.Duration(o.Runs*(len(ways)+len(loads)*len(peers.There()))) * 3 * time.Second
	},
	Measure: measure,
}

func main() {
	if os.Getenv(client.SocketVariable) == "" {
		program.Exit()
	}
	if err := client.Main(exercise); err != nil {
		fmt.Fprintln(os.Stderr, "dsmmicro:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, o *trial.Options) (fig *result.Figure, err error) {
	bin, err := os.MkdirTemp("", "dsmmicro")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(bin)) }()
	if err := job.Build(ctx, bin); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	best, err := pager.Probe(-1)
	if err != nil {
		return nil, err
	}
	fig = &result.Figure{Title: "The DSM's operations on two nodes", X: "operation", Y: "us", LogY: true, XNames: operations, Machine: result.Host()}
	fig.Notef("contended: each node locks, adds and unlocks %d times while the other does; our lock stays for many in a row, so that few of the calls wait for the other node", times)
	fig.Notef("a sample is the median of a run, of reads in order and of locks the mean; most of our pages lie on their home's shelf, which has those laid out that follow one that was asked for")
	all := conditions(bin, self, best, func(w way) { fig.Notef("%s: this kernel cannot", w.name) })
	got, err := inTurn(ctx, o, all)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		for i, name := range operations {
			fig.Add(c.series, float64(i+1), got[c.series][name])
		}
	}
	peers.Note(fig)
	judge(fig, got)
	return fig, nil
}

// inTurn runs all conditions as often as each is to be run, in an order by lot.
func inTurn(ctx context.Context, o *trial.Options, all []condition) (samples, error) {
	got := samples{}
	for _, c := range all {
		got[c.series] = map[string][]float64{}
	}
	rng := rand.New(rand.NewPCG(o.Seed, 4))
	for range o.Runs {
		for _, i := range rng.Perm(len(all)) {
			c := all[i]
			r, err := c.run(ctx)
			if err == nil {
				err = r.check(c.operations)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.series, err)
			}
			for _, name := range c.operations {
				got[c.series][name] = append(got[c.series][name], r[name])
			}
			o.Logf("%s: %v", c.series, r)
		}
	}
	return got, nil
}
