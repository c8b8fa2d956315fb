// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/internal/pause"
	"lazystate/tools/testbed"
)

var mbit uint64

var program = trial.Program{
	Name: "fig211", About: "trace of a stream across a move (Figure 2.11)", Runs: 11, Timeout: 5 * time.Minute, Window: 300 * time.Millisecond,
	Flags:   func(fs *flag.FlagSet) { fs.Uint64Var(&mbit, "mbit", 100, "Mbit/s of the client's link") },
	Takes:   func(o *trial.Options) time.Duration { return time.Duration(o.Runs)*between + 5*time.Second },
	Measure: measure,
}

func main() { program.Exit() }

const between = 500 * time.Millisecond

func measure(ctx context.Context, o *trial.Options) (*result.Figure, error) {
	defer testbed.Done()
	var moves []move
	err := testbed.Run(ctx, testbed.Config{Service: "ttcp", Clients: []testbed.Link{{Bits: mbit * 1e6, Agent: true}}}, func(b *testbed.Bed) error {
		args := []string{"serve", "--keeper", "KEEPER", "--listen", "[::]:PORT", "--size", fmt.Sprint(1 << 40), "--state", fmt.Sprint(10 << 10)}
		if _, err := b.Serve(ctx, "ttcp", args...); err != nil {
			return err
		}
		trace, err := listen(b.Clients[0], b.S1.Addr, b.S2.Addr)
		if err != nil {
			return err
		}
		moves, err = moving(ctx, o, b, trace)
		return errors.Join(err, trace.close())
	})
	if err != nil {
		return nil, err
	}
	return figure(o, moves), nil
}

// moving reads the stream and has it move now and then.
func moving(ctx context.Context, o *trial.Options, b *testbed.Bed, t *trace) (all []move, err error) {
	c := b.Clients[0]
	conn, err := c.Dial(ctx, b.S1.Addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	read := make(chan error, 1)
	go func() { _, err := io.Copy(io.Discard, conn); read <- err }()
	from, to := b.S1, b.S2
	for range o.Runs {
		if err := pause.For(ctx, between); err != nil {
			return nil, err
		}
		if _, err := t.await(ctx, from.Addr.Addr(), time.Now()); err != nil {
			return nil, err
		}
		asked := time.Now()
		if err := c.Move(ctx, testbed.Flow(conn), to.Addr); err != nil {
			return nil, err
		}
		heard, err := t.await(ctx, to.Addr.Addr(), asked) // a busy host may take longer than the window
		if err != nil {
			return nil, err
		}
		window := max(o.Window, heard.Sub(asked))
		if err := pause.For(ctx, time.Until(asked.Add(window))); err != nil {
			return nil, err
		}
		m, err := cut(t.segments(), asked, window, from.Addr.Addr(), to.Addr.Addr())
		if err != nil {
			return nil, err
		}
		all = append(all, m)
		from, to = to, from
	}
	return all, nil
}

// figure shows the move whose gap is the median.
func figure(o *trial.Options, moves []move) *result.Figure {
	fig := &result.Figure{Title: "Figure 2.11: segments received across a move", X: "ms since the move was asked for", Y: "KB since the first segment shown", Machine: result.Host()}
	var gaps, overlap []float64
	for _, m := range moves {
		gaps = append(gaps, m.gap().Seconds()*1e3)
		overlap = append(overlap, m.overlap().Seconds()*1e3)
	}
	shown := moves[0]
	for _, m := range moves {
		if d := m.gap().Seconds() * 1e3; d == result.Quantile(gaps, 0.5) {
			shown = m
		}
	}
	fig.Notef("eager server, snapshots of 10 KB, link of %d Mbit/s; shown is the move with the median gap of %d", mbit, len(moves))
	fig.Notef("from the last segment of the old server to the first of the new: median %.2f ms (%.2f to %.2f); the old server was still heard for %.2f ms after the move was asked for",
		result.Median(gaps), result.Quantile(gaps, 0), result.Quantile(gaps, 1), result.Median(overlap))
	fig.Notef("the paper: a gap not much worse than those of other events in the system, segments of the old server until shortly before it; its axes are not legible in numbers")
	shown.draw(fig)
	return fig
}
