// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/bench/webload"
	"lazystate/tools/testbed"
)

var (
	rates    = []float64{250, 500, 1000, 1500, 2000, 3000}
	deadline = 2 * time.Second
)

var program = trial.Program{
	Name: "fig215", About: "a web server whose sessions could move beside the plain one (Figure 2.15)", Runs: 5, Timeout: 20 * time.Minute, Window: 4 * time.Second,
	Takes: func(o *trial.Options) time.Duration {
		return time.Duration(2*o.Runs*len(rates))*(o.Window+deadline/2) + 10*time.Second
	},
	Measure: measure,
}

func main() {
	webload.Main()
	program.Exit()
}

// kind of server.
type kind struct {
	name   string
	keeper string
}

var kinds = []kind{{"ours: plain server", ""}, {"ours: sessions could move", "KEEPER"}}

func measure(ctx context.Context, o *trial.Options) (fig *result.Figure, err error) {
	defer testbed.Done()
	root, files, done, err := webload.Write()
	if err != nil {
		return nil, err
	}
	defer done()
	fig = &result.Figure{Title: "Figure 2.15: replies of a web server, no session moves", X: "requests/s", Y: "replies/s", Machine: result.Host(), Columns: []string{"% answered", "median ms", "99 % ms"}}
	fig.Notef("a request is a connection; %v of requests for each point, those count that are whole within %v; the load runs on the same processors", o.Window, deadline)
	fig.Notef("the paper: the three curves (plain, eager, lazy) overlap; lazy takes at most 1.44 MB of memory. Here there is one way to export: copied into the box, no system call")
	err = beds(ctx, root, func(b []*testbed.Bed) error { return compare(ctx, o, fig, b, files) })
	return fig, err
}

// beds opens one for each kind of server.
func beds(ctx context.Context, root string, f func([]*testbed.Bed) error) error {
	open := func(k kind, then func(b *testbed.Bed) error) error {
		return testbed.Run(ctx, testbed.Config{Service: "web", Clients: []testbed.Link{{}, {}}}, func(b *testbed.Bed) error {
			if _, err := b.Serve(ctx, "web", "--keeper", k.keeper, "--listen", "[::]:PORT", "--root", root); err != nil {
				return err
			}
			return then(b)
		})
	}
	return open(kinds[0], func(plain *testbed.Bed) error {
		return open(kinds[1], func(boxes *testbed.Bed) error { return f([]*testbed.Bed{plain, boxes}) })
	})
}

func compare(ctx context.Context, o *trial.Options, fig *result.Figure, b []*testbed.Bed, files []int) error {
	for _, rate := range rates {
		var replies [2][]float64
		var all [2]webload.Outcome
		for run := range o.Runs {
			for i := range kinds {
				k := (i + run) % 2
				out, err := webload.Run(ctx, b[k], webload.Spec{Rate: rate, For: o.Window, Deadline: deadline, Files: files, Seed: uint64(run) + o.Seed})
				if err != nil {
					return fmt.Errorf("%.0f requests/s of %s: %w", rate, kinds[k].name, err)
				}
				replies[k] = append(replies[k], float64(out.Done)/o.Window.Seconds())
				all[k].Requests += out.Requests
				all[k].Done += out.Done
				all[k].Millis = append(all[k].Millis, out.Millis...)
			}
		}
		for k := range kinds {
			part := 100 * float64(all[k].Done) / float64(max(1, all[k].Requests))
			fig.Add(kinds[k].name, rate, replies[k], fmt.Sprintf("%.2f", part), fmt.Sprintf("%.2f", result.Median(all[k].Millis)), fmt.Sprintf("%.1f", result.Quantile(all[k].Millis, 0.99)))
		}
		o.Logf("%.0f requests/s: plain %.0f/s, with boxes %.0f/s", rate, result.Median(replies[0]), result.Median(replies[1]))
	}
	return memory(ctx, fig, b[1])
}

// memory notes what a session that waits for its next request takes.
func memory(ctx context.Context, fig *result.Figure, b *testbed.Bed) error {
	conn, err := b.Clients[0].Dial(ctx, b.S1.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := b.S1.Settled(ctx, 1); err != nil {
		return err
	}
	all, err := b.S1.Sessions(ctx)
	if err == nil {
		fig.Notef("a session's box has %d bytes of address space; what is not touched takes no memory", all[0].Bytes)
	}
	return err
}
