// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"time"

	"lazystate/bench/auctionload"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/examples/outcome/postgres"
	"lazystate/internal/pause"
	"lazystate/tools/testbed"
)

var (
	connections bool
	clients     int
	think       float64
	visit       int
	deadline    time.Duration
	criu        string
)

var program = trial.Program{
	Name: "fig312", About: "what clients receive across a crash of the auction (Figure 3.12), beside a restart and a takeover of the address", Runs: 3, Timeout: 3 * time.Hour, Window: 15 * time.Second,
	Flags: func(fs *flag.FlagSet) {
		fs.BoolVar(&connections, "connections", false, "connections that clients make")
		fs.IntVar(&clients, "clients", 200, "clients, half of them at each front end")
		fs.Float64Var(&think, "think", 0.5, "times a think time of 7 s")
		fs.IntVar(&visit, "visit", 10, "mean number of requests over a connection")
		fs.DurationVar(&deadline, "deadline", 10*time.Millisecond, "of the detector")
		fs.StringVar(&criu, "criu", "criu", "CRIU's program")
	},
	Takes: func(o *trial.Options) time.Duration {
		return time.Duration(o.Runs*len(conditions)) * (starting + warming + 2*o.Window)
	},
	Measure: measure,
}

const (
	starting = 40 * time.Second // about what machines and a site take to come up and go
	warming  = 5 * time.Second  // before the first bin
)

func main() { program.Exit() }

// condition is what dies, and what is done about it.
type condition struct {
	name    string
	dies    auctionload.Tiers
	happens func(ctx context.Context, b *auctionload.Bed) error
	today   bool // without boxes, as people do
}

var conditions = []condition{
	{"FE", auctionload.Tiers{Front: true}, crash, false},
	{"MT", auctionload.Tiers{Middle: true}, crash, false},
	{"FE and MT", auctionload.Tiers{Front: true, Middle: true}, crash, false},
	{"today: FE's service killed, started again", auctionload.Tiers{Front: true}, restart, true},
	{"today: FE's address taken over", auctionload.Tiers{Front: true}, failover, true},
}

func crash(ctx context.Context, b *auctionload.Bed) error {
	_, err := b.Crash(ctx, deadline)
	return err
}

func restart(ctx context.Context, b *auctionload.Bed) error { return b.Restart(ctx) }

func failover(ctx context.Context, b *auctionload.Bed) error { return b.Failover(ctx, deadline) }

func measure(ctx context.Context, o *trial.Options) (fig *result.Figure, err error) {
	defer testbed.Done()
	if clients < 2 || think < 0 || visit < 1 || deadline < 0 || o.Window%time.Second != 0 {
		return nil, errors.New("--clients: two at least; --visit: one; --window: whole seconds; nothing negative")
	}
	db, err := postgres.Start("auction")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	s := &series{o: o, all: make([]across, len(conditions))}
	for run := range o.Runs {
		rng := rand.New(rand.NewPCG(o.Seed, uint64(run)))
		for _, i := range rng.Perm(len(conditions)) {
			if err := s.once(ctx, db, i, run); err != nil {
				return nil, fmt.Errorf("%s, run %d: %w", conditions[i].name, run+1, err)
			}
		}
	}
	return s.figure(), nil
}

// series is all runs of all conditions.
type series struct {
	o       *trial.Options
	all     []across
	machine result.Machine
	criu    string // what it did on the machine that stood
}

// once is one run of a condition.
func (s *series) once(ctx context.Context, db *postgres.Cluster, i, run int) (err error) {
	c := conditions[i]
	tool := ""
	files := map[string]string{}
	if path, err := exec.LookPath(criu); err == nil && c.dies.Front {
		tool, files[guestCRIU] = guestCRIU, path
	}
	v, err := auctionload.Boot(ctx, s.o.Kernel, c.dies, files)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	s.machine = v.Machine()
	return auctionload.On(ctx, db, auctionload.Site{Front: !c.today, Middle: !c.today, Victims: v}, func(b *auctionload.Bed) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		before, err := begins(ctx, v, tool)
		if err != nil {
			return err
		}
		crowd := b.Crowd(ctx, auctionload.Spec{Clients: clients, Mix: "browsing", Think: think, Normal: true, Visit: visit, Seed: s.o.Seed*1000 + uint64(run)})
		if err := crowd.Settled(ctx); err != nil {
			return err
		}
		if err := pause.For(ctx, warming+s.o.Window); err != nil {
			return err
		}
		at := time.Now()
		if err := c.happens(ctx, b); err != nil {
			return err
		}
		if err := pause.For(ctx, time.Until(at.Add(s.o.Window))); err != nil {
			return err
		}
		one := bins(crowd.End(), at, s.o.Window)
		s.o.Logf("%s, run %d: %s", c.name, run+1, one)
		s.all[i].add(one)
		if s.criu == "" && c.dies.Front && !c.today {
			s.criu = before.against(ctx, v, tool)
		}
		return nil
	})
}
