// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"lazystate/bench/guest"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/tools/lab"
)

func main() {
	var bomb string
	var wire bool
	p := trial.Program{
		Name: "table33", About: "repair time against the number of processes (Table 3.3)", Runs: 5, Timeout: 10 * time.Minute,
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&bomb, "bomb", "bomb-sleep", "program of the drills: bomb-sleep, bomb-cpu or bomb-io")
			fs.BoolVar(&wire, "wire", false, "over RoCEv2 and rdma_rxe, batched and with batches of one in turn")
		},
		Takes: func(o *trial.Options) time.Duration {
			if wire {
				return 2*trial.Boot + time.Duration(o.Runs)*time.Minute
			}
			sum := 0
			for _, p := range paper {
				sum += p.processes
			}
			const each = 10 * time.Millisecond // to be forked and to be gone, under emulation
			return trial.Boot + time.Duration(o.Runs*sum)*each
		},
		Measure: func(ctx context.Context, o *trial.Options) (*result.Figure, error) {
			if wire {
				return measureWire(ctx, o, bomb)
			}
			return measure(ctx, o, bomb)
		},
	}
	p.Exit()
}

// paper is Table 3.3, milliseconds by number of processes.
var paper = []struct {
	processes int
	ms        float64
}{{100, 140}, {500, 263}, {1000, 350}, {1500, 426}}

func measure(ctx context.Context, o *trial.Options, bomb string) (*result.Figure, error) {
	files, done, err := guest.Arsenal(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	g, err := guest.Boot(ctx, o, guest.Config{Name: "table33", Lab: lab.Config{Files: files, SwapMiB: 256}})
	if err != nil {
		return nil, err
	}
	fig := &result.Figure{
		Title: "Table 3.3: repair time by number of processes", X: "processes", Y: "ms", LogY: true, Machine: g.Machine(),
		Columns: columns,
	}
	fig.Notef("%s of that many processes, one user; reads and batches: diagnosis and everything under the OS lock (second walk, posts, read-back) together; the first series ends with the thaw", bomb)
	return fig, errors.Join(all(ctx, o, g, fig, bomb), g.Close())
}

func all(ctx context.Context, o *trial.Options, g *guest.Guest, fig *result.Figure, bomb string) error {
	if err := g.GiveKey(ctx); err != nil {
		return err
	}
	for _, p := range paper {
		fig.Paper("paper: repair", float64(p.processes), p.ms)
		var runs []repaired
		for i := range o.Runs {
			r, err := once(ctx, g, g.Patient(), bomb, p.processes)
			if err != nil {
				return fmt.Errorf("%d processes, run %d: %w", p.processes, i+1, err)
			}
			o.Logf("%d processes, run %d: killed %d in %v, gone after %v, %d reads in %d batches", p.processes, i+1,
				r.killed, r.acted.Round(time.Millisecond), r.gone.Round(time.Millisecond), r.reads, r.batches)
			runs = append(runs, r)
		}
		add(fig, p.processes, runs)
	}
	return nil
}

var columns = []string{"reads", "batches", "rounds", "killed", "walk ms", "frozen ms"}

func add(fig *result.Figure, n int, runs []repaired) {
	fig.Add("ours: until every kill is read back", float64(n), of(runs, acted), medians(runs)...)
	fig.Add("ours: until the last process is gone", float64(n), of(runs, func(r repaired) float64 { return ms(r.gone) }), medians(runs)...)
}

func acted(r repaired) float64 { return ms(r.acted) }

func of(runs []repaired, get func(repaired) float64) []float64 {
	s := make([]float64, len(runs))
	for i, r := range runs {
		s[i] = get(r)
	}
	return s
}

// medians are the columns.
func medians(runs []repaired) []string {
	median := func(get func(repaired) float64) string { return fmt.Sprintf("%.4g", result.Median(of(runs, get))) }
	return []string{
		median(func(r repaired) float64 { return float64(r.reads) }),
		median(func(r repaired) float64 { return float64(r.batches) }),
		median(func(r repaired) float64 { return float64(r.rounds) }),
		median(func(r repaired) float64 { return float64(r.killed) }),
		median(func(r repaired) float64 { return ms(r.walk) }),
		median(func(r repaired) float64 { return ms(r.frozen) }),
	}
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }
