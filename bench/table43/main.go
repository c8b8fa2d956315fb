// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"lazystate/bench/result"
	"lazystate/bench/trial"
)

// settings are the flags beside those of every bench.
var settings struct {
	figure string
	nodes  int
	tiny   bool
}

var program = trial.Program{
	Name: "table43", About: "cost of the DSM's fault tolerance, and what LLT and CGC keep (Tables 4.1 to 4.4, Figures 4.7 and 4.8)", Runs: 3, Timeout: 2 * time.Hour,
	Flags: func(fs *flag.FlagSet) {
		fs.StringVar(&settings.figure, "figure", "tables", "tables, 4.7, 4.8 or long")
		fs.IntVar(&settings.nodes, "nodes", 8, "processes")
		fs.BoolVar(&settings.tiny, "tiny", false, "sizes that take a moment")
	},
	Takes: func(o *trial.Options) time.Duration {
		return time.Duration(o.Runs*len(apps)*len(policies)) * 20 * time.Second
	},
	Measure: measure,
}

func main() { program.Exit() }

var figures = map[string]func(context.Context, *bed) (*result.Figure, error){"tables": tables, "4.7": breakdown, "4.8": dynamics, "long": longRun}

func measure(ctx context.Context, o *trial.Options) (fig *result.Figure, err error) {
	draw := figures[settings.figure]
	if draw == nil || settings.nodes < 2 {
		return nil, fmt.Errorf("--figure %s, --nodes %d: tables, 4.7, 4.8 or long, of at least two nodes", settings.figure, settings.nodes)
	}
	b, err := newBed(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if fig, err = draw(ctx, b); err != nil {
		return nil, err
	}
	fig.Machine = result.Host()
	for _, a := range apps {
		args, limit := b.size(a)
		fig.Notef("%s: %v on %d nodes of this machine, L = %s %%; the paper's: %s on 8 machines", a.name, args[1:], b.nodes, limit, a.paper.size)
	}
	return fig, nil
}

// names are the applications'.
func names() (all []string) {
	for _, a := range apps {
		all = append(all, a.name)
	}
	return all
}
