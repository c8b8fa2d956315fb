// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"lazystate/bench/auctionload"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/examples/outcome/postgres"
	"lazystate/tools/testbed"
)

var (
	latency bool
	think   float64
	crowds  string
)

var program = trial.Program{
	Name: "fig39", About: "the auction without failures, base and recoverable (Figures 3.9 and 3.10)", Runs: 5, Timeout: 2 * time.Hour, Window: 20 * time.Second,
	Flags: func(fs *flag.FlagSet) {
		fs.BoolVar(&latency, "latency", false, "Figure 3.10: how long clients wait")
		fs.Float64Var(&think, "think", 0.1, "times TPC-W's think time of 7 s")
		fs.StringVar(&crowds, "clients", "50,100,200,400,800", "numbers of clients")
	},
	Takes: func(o *trial.Options) time.Duration {
		return time.Duration(o.Runs*len(conditions)) * (time.Duration(1+strings.Count(crowds, ","))*o.Window + starting)
	},
	Measure: measure,
}

// starting is about what a site takes to come up and go.
const starting = 10 * time.Second

func main() {
	auctionload.Main()
	program.Exit()
}

var conditions = []struct {
	name string
	site auctionload.Site
}{
	{"base", auctionload.Site{}},
	{"recoverable FE", auctionload.Site{Front: true}},
	{"recoverable FE and MT", auctionload.Site{Front: true, Middle: true}},
}

func numbers(text string) (all []int, err error) {
	for _, part := range strings.Split(text, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("numbers of clients: %q", text)
		}
		all = append(all, n)
	}
	return all, nil
}

func measure(ctx context.Context, o *trial.Options) (fig *result.Figure, err error) {
	defer testbed.Done()
	clients, err := numbers(crowds)
	if err != nil {
		return nil, err
	}
	db, err := postgres.Start("auction")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	measured := map[string]map[int][]float64{}
	rng := rand.New(rand.NewPCG(o.Seed, 39))
	for run := range o.Runs {
		for _, i := range rng.Perm(len(conditions)) {
			c := conditions[i]
			if measured[c.name] == nil {
				measured[c.name] = map[int][]float64{}
			}
			err := auctionload.On(ctx, db, c.site, func(b *auctionload.Bed) error {
				for _, n := range clients {
					out, err := b.Load(ctx, auctionload.Spec{Clients: n, For: o.Window, Mix: "bidding", Think: think, Seed: o.Seed*1000 + uint64(run)*100 + uint64(n)})
					if err != nil {
						return err
					}
					o.Logf("%s, %d clients: %.1f replies/s, %.2f ms on average, %.1f at most", c.name, n, out.Rate, out.MeanMs, out.WorstMs)
					v := out.Rate
					if latency {
						v = out.MeanMs
					}
					measured[c.name][n] = append(measured[c.name][n], v)
				}
				return nil
			})
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	return figure(clients, measured), nil
}

func figure(clients []int, measured map[string]map[int][]float64) *result.Figure {
	fig := &result.Figure{Title: "Figure 3.9: throughput of the auction", X: "clients", Y: "replies/s", Machine: result.Host()}
	if latency {
		fig.Name, fig.Title, fig.Y = "fig310", "Figure 3.10: latency of the auction", "ms"
	}
	fig.Notef("bidding mix, 15 in a hundred write; think time %g times TPC-W's 7 s; two front ends, two middle tiers, PostgreSQL and all clients share this machine", think)
	fig.Notef("the paper: the curves of base, FE and FE+MT overlap at underload, small variations at saturation; its axes are not legible in numbers")
	for _, c := range conditions {
		for _, n := range clients {
			fig.Add(c.name, float64(n), measured[c.name][n])
		}
	}
	for _, c := range conditions[1:] {
		for _, n := range clients {
			base := result.Median(measured["base"][n])
			fig.Notef("%s, %d clients: %.3f of base", c.name, n, result.Median(measured[c.name][n])/base)
		}
	}
	return fig
}
