// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"lazystate/bench/calls"
	"lazystate/bench/result"
	"lazystate/bench/trial"
)

var program = trial.Program{
	Name: "table22", About: "cost of the calls of a service continuation (Table 2.2)", Runs: 200, Timeout: 5 * time.Minute,
	Takes:   func(o *trial.Options) time.Duration { return time.Duration(o.Runs*len(paper)) * 8 * time.Millisecond },
	Measure: measure,
}

func main() { program.Exit() }

// paper is Table 2.2, microseconds by KB of state.
var paper = []struct {
	kb                                                int
	eager, imports, associate, register, unregistered float64
}{{1, 22, 26, 150, 124, 69}, {5, 47, 68, 151, 148, 80}, {10, 114, 121, 154, 154, 81}}

func measure(ctx context.Context, o *trial.Options) (*result.Figure, error) {
	fig := &result.Figure{Title: "Table 2.2: cost of the calls", X: "state, KB", Y: "us", LogY: true, Machine: result.Host()}
	fig.Notef("exports: means of %d in a row; register and unregister: to make a session's box and to give it up", calls.Batch)
	for _, row := range paper {
		x := float64(row.kb)
		fig.Paper("paper: eager export", x, row.eager)
		fig.Paper("paper: import", x, row.imports)
		fig.Paper("paper: associate", x, row.associate)
		fig.Paper("paper: register", x, row.register)
		fig.Paper("paper: unregister", x, row.unregistered)
		samples := map[string][]float64{}
		for range o.Runs {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := calls.Once(samples, row.kb<<10); err != nil {
				return nil, fmt.Errorf("%d KB: %w", row.kb, err)
			}
		}
		for _, k := range calls.Names {
			fig.Add("ours: "+k, x, samples[k])
		}
		o.Logf("%d KB", row.kb)
	}
	return fig, nil
}
