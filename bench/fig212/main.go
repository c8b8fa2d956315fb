// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/tools/testbed"
)

// total is how much a client asks for, in KB, as a flag for tests.
var total int

var program = trial.Program{
	Name: "fig212", About: "a stream from servers that decay, with the rate policy (Figure 2.12)", Runs: 5, Timeout: 10 * time.Minute,
	Flags: func(fs *flag.FlagSet) { fs.IntVar(&total, "kb", 256, "KB of the stream") },
	Takes: func(o *trial.Options) time.Duration {
		stays, moves := decayed(total), time.Duration(total)*interval*5/4
		return time.Duration(o.Runs)*(stays+time.Duration(len(states))*moves) + 15*time.Second
	},
	Measure: measure,
}

func main() {
	serving()
	program.Exit()
}

// serving does not return in a process that is to be a server.
func serving() {
	if len(os.Args) == 6 && os.Args[1] == serveArg {
		os.Exit(serve(os.Args[2], os.Args[3], os.Args[4], os.Args[5]))
	}
}

var states = []int{2, 10, 16} // KB of a snapshot

// kind is one line of the figure.
type kind struct {
	kb    int // of a snapshot
	moves bool
}

func kinds() []kind {
	all := []kind{{states[0], false}}
	for _, kb := range states {
		all = append(all, kind{kb, true})
	}
	return all
}

func (k kind) String() string {
	if k.moves {
		return fmt.Sprintf("ours: moves, %d KB", k.kb)
	}
	return fmt.Sprintf("ours: stays, %d KB", k.kb)
}

func measure(ctx context.Context, o *trial.Options) (*result.Figure, error) {
	defer testbed.Done()
	fig := &result.Figure{Title: "Figure 2.12: a stream from servers that decay", X: "s", Y: "KB received", Machine: result.Host()}
	fig.Notef("chunks of %d bytes each %v; after %d KB of a client's each waits %v longer than the one before; alpha 1/8, 25 %%, a sample each %v; shown is the run with the median time of %d", chunk, interval, healthy, interval/8, sample, o.Runs)
	fig.Notef("the paper: the stream arrives about as fast as from a server before it decays, later the larger the snapshots; no figures in the text")
	for _, k := range kinds() {
		trips, err := travels(ctx, o, k)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		show(fig, o, k, trips)
	}
	return fig, nil
}

func travels(ctx context.Context, o *trial.Options, k kind) (all []trip, err error) {
	err = testbed.Run(ctx, testbed.Config{Service: service, Clients: []testbed.Link{{Agent: true}}}, func(b *testbed.Bed) error {
		if _, err := b.Serve(ctx, testbed.Self, serveArg, "KEEPER", "[::]:PORT", fmt.Sprint(k.kb<<10), fmt.Sprint(total)); err != nil {
			return err
		}
		for range o.Runs {
			t, err := travel(ctx, b, k.moves)
			if err != nil {
				return err
			}
			all = append(all, t)
		}
		return nil
	})
	return all, err
}

// show adds the trace with the median time, thinned out.
func show(fig *result.Figure, o *trial.Options, k kind, trips []trip) {
	var took, moves []float64
	refused := 0
	for _, t := range trips {
		took, moves = append(took, t.took().Seconds()), append(moves, float64(t.moves))
		refused += t.refused
	}
	shown := trips[0]
	for _, t := range trips {
		if t.took().Seconds() == result.Quantile(took, 0.5) {
			shown = t
		}
	}
	for i, p := range shown.trace {
		if i%4 == 0 || i == len(shown.trace)-1 {
			fig.Add(k.String(), p.at.Seconds(), []float64{float64(p.bytes) / 1024})
		}
	}
	fig.Notef("%s: %.3f s (%.3f to %.3f), %.0f moves, %d in all came to nothing", k, result.Median(took), result.Quantile(took, 0), result.Quantile(took, 1), result.Median(moves), refused)
	o.Logf("%s: %.3f s, %.0f moves", k, result.Median(took), result.Median(moves))
}
