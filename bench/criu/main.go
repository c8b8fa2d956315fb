// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"lazystate/bench/result"
	"lazystate/bench/trial"
)

var tool string

var program = trial.Program{
	Name: "criu", About: "CRIU's dump and restore of a process with one connection", Runs: 30, Timeout: 10 * time.Minute,
	Flags: func(fs *flag.FlagSet) { fs.StringVar(&tool, "criu", "criu", "CRIU's program") },
	Takes: func(o *trial.Options) time.Duration {
		return time.Duration(o.Runs)*500*time.Millisecond + 10*time.Second
	},
	Measure: measure,
}

func main() { program.Exit() }

var names = []string{"dump", "restore", "dump to restored"}

func measure(ctx context.Context, o *trial.Options) (*result.Figure, error) {
	version, err := exec.CommandContext(ctx, tool, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("%s --version: %w", tool, err)
	}
	fig := &result.Figure{Title: "CRIU: a process with one idle connection", X: "measurement", Y: "ms", XNames: names, Machine: result.Host(), Columns: []string{"99 % ms"}}
	fig.Notef("CRIU %s; static C program, --tcp-established, images in memory, --network-lock skip", strings.Fields(string(version))[1])
	var all [3][]float64
	err = stage(ctx, func(s *server) error {
		for run := range o.Runs {
			dump, restore, err := s.once(ctx)
			if err != nil {
				return fmt.Errorf("run %d: %w", run+1, err)
			}
			for i, d := range []time.Duration{dump, restore, dump + restore} {
				all[i] = append(all[i], d.Seconds()*1e3)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, samples := range all {
		fig.Add("CRIU", float64(i+1), samples, fmt.Sprintf("%.1f", result.Quantile(samples, 0.99)))
		o.Logf("%s: %.1f ms", names[i], result.Median(samples))
	}
	return fig, nil
}
