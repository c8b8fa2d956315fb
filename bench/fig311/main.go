// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"lazystate/bench/auctionload"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/examples/outcome/postgres"
	"lazystate/internal/pause"
	"lazystate/tools/testbed"
)

var (
	clients  int
	think    float64
	after    time.Duration
	deadline time.Duration
)

var program = trial.Program{
	Name: "fig311", About: "how long clients wait when a front end, a middle tier or both die (Figure 3.11)", Runs: 10, Timeout: 3 * time.Hour, Window: 5 * time.Second,
	Flags: func(fs *flag.FlagSet) {
		fs.IntVar(&clients, "clients", 200, "clients, half of them at each front end")
		fs.Float64Var(&think, "think", 0.5, "times a think time of 7 s")
		fs.DurationVar(&after, "after", 14*time.Second, "when the machines stop")
		fs.DurationVar(&deadline, "deadline", 10*time.Millisecond, "of the detector, from then on")
	},
	Takes: func(o *trial.Options) time.Duration {
		return time.Duration(o.Runs*len(cases)) * (starting + after + o.Window)
	},
	Measure: measure,
}

// starting is about what machines and a site take to come up and go.
const starting = 40 * time.Second

func main() { program.Exit() }

// cases are the figure's (a), (b) and (c), with the paper's averages and the aims of
// ours, in ms.
var cases = []struct {
	name       string
	dies       auctionload.Tiers
	paper, aim float64
}{
	{"FE", auctionload.Tiers{Front: true}, 11.8, 12},
	{"MT", auctionload.Tiers{Middle: true}, 7.5, 8},
	{"FE and MT", auctionload.Tiers{Front: true, Middle: true}, 19.5, 20},
}

const worstAim = 25 // ms, as the paper's worst of all

func measure(ctx context.Context, o *trial.Options) (fig *result.Figure, err error) {
	defer testbed.Done()
	if clients < 2 || think < 0 || after <= 0 || deadline < 0 {
		return nil, errors.New("--clients: two at least; nothing negative")
	}
	db, err := postgres.Start("auction")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	all := make([]found, len(cases))
	var machine result.Machine
	for run := range o.Runs {
		for i, c := range cases {
			v, err := auctionload.Boot(ctx, o.Kernel, c.dies, nil)
			if err != nil {
				return nil, err
			}
			machine = v.Machine()
			one, err := crash(ctx, o, db, v, uint64(run*len(cases)+i))
			if err = errors.Join(err, v.Close()); err != nil {
				return nil, fmt.Errorf("%s, run %d: %w", c.name, run+1, err)
			}
			o.Logf("%s, run %d: %s", c.name, run+1, one)
			all[i].add(one)
		}
	}
	return figure(machine, all)
}

// crash is one run.
func crash(ctx context.Context, o *trial.Options, db *postgres.Cluster, v *auctionload.Victims, seed uint64) (one *run, err error) {
	dies := v.Tiers()
	err = auctionload.On(ctx, db, auctionload.Site{Front: true, Middle: true, Victims: v}, func(b *auctionload.Bed) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		c := b.Crowd(ctx, auctionload.Spec{Clients: clients, Mix: "browsing", Think: think, Normal: true, Seed: o.Seed*1000 + seed})
		if err := pause.For(ctx, after); err != nil {
			return err
		}
		if err := c.Settled(ctx); err != nil {
			return err
		}
		if err := underWay(ctx, c, dies); err != nil {
			return err
		}
		r, err := b.Crash(ctx, deadline)
		if err == nil {
			err = pause.For(ctx, o.Window)
		}
		seen := c.End()
		if err != nil {
			return err
		}
		one = newRun(r, seen, dies, b.Reissued())
		return nil
	})
	return one, err
}

// looking is how long there may be no request under way at a machine that is to stop.
const looking = 10 * time.Second

// underWay waits for a moment at which there is one. What is at a middle tier nobody
// sees from here; half of all is at each.
func underWay(ctx context.Context, c *auctionload.Crowd, dies auctionload.Tiers) error {
	for late := time.Now().Add(looking); time.Now().Before(late); {
		n := c.Open(0)
		if !dies.Front {
			n += c.Open(1)
		}
		if n > 0 {
			return nil
		}
		if err := pause.For(ctx, 200*time.Microsecond); err != nil {
			return err
		}
	}
	return nil // so it is: it costs a sample
}
