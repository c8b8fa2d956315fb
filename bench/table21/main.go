// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/internal/pause"
	"lazystate/tools/testbed"
)

var program = trial.Program{
	Name: "table21", About: "breakdown of the time of a move (Table 2.1)", Runs: 200, Timeout: 20 * time.Minute,
	Takes: func(o *trial.Options) time.Duration {
		return time.Duration(len(paper)) * 2 * (setUp + time.Duration(o.Runs)*pace)
	},
	Measure: measure,
}

func main() { program.Exit() }

// paper is Table 2.1 in microseconds: C, S2, S1 of one process, then of two.
var paper = []struct {
	kb int
	us [2][3]float64
}{
	{0, [2][3]float64{{360, 252, 77}, {485, 358, 132}}},
	{1, [2][3]float64{{503, 388, 86}, {608, 488, 146}}},
	{5, [2][3]float64{{980, 865, 135}, {1066, 945, 183}}},
	{10, [2][3]float64{{1590, 1473, 132}, {1681, 1557, 232}}},
}

const (
	setUp = 4 * time.Second
	pace  = 70 * time.Millisecond // servers bound how often a client may ask: 16 times a second
)

var parts = [3]string{"C", "S2", "S1"}

func measure(ctx context.Context, o *trial.Options) (*result.Figure, error) {
	defer testbed.Done()
	fig := &result.Figure{
		Title: "Table 2.1: breakdown of the time of a move", X: "state, KB", Y: "us", Machine: result.Host(), Columns: []string{"in the best run"},
	}
	fig.Notef("the best run is that in which the client waited least; the paper prints only that one, of 200")
	fig.Notef("S1 stays frozen until S2 serves: its series has no counterpart in the table")
	for _, row := range paper {
		for p, us := range row.us {
			for i, v := range us {
				fig.Paper(fmt.Sprintf("paper: %s, %d-process", parts[i], p+1), float64(row.kb), v)
			}
		}
	}
	for p := 1; p <= 2; p++ {
		for _, row := range paper {
			all, err := moves(ctx, o, p, row.kb<<10)
			if err != nil {
				return nil, fmt.Errorf("%d process(es), %d KB: %w", p, row.kb, err)
			}
			add(fig, p, row.kb, all)
			o.Logf("%d process(es), %d KB: %d moves", p, row.kb, len(all))
		}
	}
	return fig, nil
}

// moves has one session go back and forth.
func moves(ctx context.Context, o *trial.Options, processes, state int) (all []testbed.Phases, err error) {
	err = testbed.Run(ctx, testbed.Config{Service: "ttcp", Clients: []testbed.Link{{Agent: true}}}, func(b *testbed.Bed) error {
		if processes > 1 {
			if _, err := b.Start("ttcp", "back", "--keeper", "KEEPER"); err != nil {
				return err
			}
		}
		args := []string{"serve", "--keeper", "KEEPER", "--listen", "[::]:PORT", "--idle", "--state", fmt.Sprint(state), "--processes", fmt.Sprint(processes), "--channels", "3"}
		if _, err := b.Serve(ctx, "ttcp", args...); err != nil {
			return err
		}
		c := b.Clients[0]
		conn, err := c.Dial(ctx, b.S1.Addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		at, next := b.S1, b.S2
		for range o.Runs {
			if err := at.Settled(ctx, 1); err != nil {
				return err
			}
			if err := pause.For(ctx, pace); err != nil {
				return err
			}
			if err := c.Move(ctx, testbed.Flow(conn), next.Addr); err != nil {
				return err
			}
			at, next = next, at
		}
		all, err = b.Phases(ctx, c, o.Runs)
		return err
	})
	return all, err
}

func add(fig *result.Figure, p, kb int, all []testbed.Phases) {
	best := all[0]
	samples := map[string][]float64{}
	of := func(m testbed.Phases) map[string]time.Duration {
		return map[string]time.Duration{"C": m.Waited, "S2": m.Fetched, "S1": m.Prepared, "S1 frozen": m.Frozen}
	}
	for _, m := range all {
		if m.Waited < best.Waited {
			best = m
		}
		for k, d := range of(m) {
			samples[k] = append(samples[k], us(d))
		}
	}
	for _, k := range append(parts[:], "S1 frozen") {
		fig.Add(fmt.Sprintf("ours: %s, %d-process", k, p), float64(kb), samples[k], fmt.Sprintf("%.0f", us(of(best)[k])))
	}
}

func us(d time.Duration) float64 { return float64(d) / 1e3 }
