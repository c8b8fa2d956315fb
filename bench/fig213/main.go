// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"sync"
	"time"

	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/bench/webload"
	"lazystate/tools/testbed"
)

var (
	bySize bool
	mbit   uint64

	loads            = []float64{0.5, 0.8, 1, 1.33, 1.67} // of the rate that fills a server's link
	moveAt, deadline = 10 * time.Second, 20 * time.Second
)

const replySize = 19e3 // bytes on average, about, with its head

var program = trial.Program{
	Name: "fig213", About: "an overloaded web server whose sessions move (Figures 2.13 and 2.14)", Runs: 1, Timeout: 40 * time.Minute, Window: 60 * time.Second,
	Flags: func(fs *flag.FlagSet) {
		bySize = false
		fs.BoolVar(&bySize, "sizes", false, "Figure 2.14: sizes of files at the greatest load")
		fs.Uint64Var(&mbit, "mbit", 25, "Mbit/s of each server's link")
	},
	Takes: func(o *trial.Options) time.Duration {
		n := len(loads)
		if bySize {
			n = 1
		}
		return time.Duration(n*o.Runs) * (o.Window + deadline + 10*time.Second)
	},
	Measure: measure,
}

func main() {
	webload.Main()
	program.Exit()
}

func measure(ctx context.Context, o *trial.Options) (*result.Figure, error) {
	defer testbed.Done()
	root, files, done, err := webload.Write()
	if err != nil {
		return nil, err
	}
	defer done()
	r := &rig{o: o, root: root, files: files}
	if bySize {
		return r.sizes(ctx)
	}
	return r.throughput(ctx)
}

type rig struct {
	o     *trial.Options
	root  string
	files []int
}

// full is how many requests a second fill a server's link.
func full() float64 { return float64(mbit) * 1e6 / 8 / replySize }

const clients = 4

// load has clients ask a server, of one kind, for the window.
func (r *rig) load(ctx context.Context, moves bool, rate float64, seed uint64) (out webload.Outcome, err error) {
	var links []testbed.Link
	for range clients {
		links = append(links, testbed.Link{Agent: true})
	}
	err = testbed.Run(ctx, testbed.Config{Service: "web", Clients: links, Server: mbit * 1e6}, func(b *testbed.Bed) (err error) {
		keeper, at := "", time.Duration(0)
		if moves {
			keeper, at = "KEEPER", moveAt
		}
		if _, err := b.Serve(ctx, "web", "--keeper", keeper, "--listen", "[::]:PORT", "--root", r.root); err != nil {
			return err
		}
		out, err = webload.Run(ctx, b, webload.Spec{Rate: rate, For: r.o.Window, Deadline: deadline, MoveAt: at, Files: r.files, Seed: seed})
		return err
	})
	return out, err
}

// throughput is Figure 2.13.
func (r *rig) throughput(ctx context.Context) (*result.Figure, error) {
	fig := &result.Figure{Title: "Figure 2.13: successful replies of an overloaded web server", X: "requests/s", Y: "successful replies/s", Machine: result.Host(), Columns: []string{"moved", "refused", "% successful"}}
	fig.Notef("two equal servers with links of %d Mbit/s, clients ask the first; %v of requests for each point, successful: whole within %v; moved after %v; both kinds of server at the same time", mbit, r.o.Window, deadline, moveAt)
	fig.Notef("the paper: base saturates at 600 requests/s; with moves 800, and there twice as many successes, with 10,000 moves of 240,000 requests in 300 s")
	best := 0.0
	for _, part := range loads {
		rate := part * full()
		rates := map[bool][]float64{}
		last := map[bool]webload.Outcome{}
		for run := range r.o.Runs {
			got, err := r.both(ctx, rate, uint64(run)+r.o.Seed)
			if err != nil {
				return nil, fmt.Errorf("%.0f requests/s: %w", rate, err)
			}
			for _, moves := range []bool{false, true} {
				rates[moves] = append(rates[moves], float64(got[moves].Done)/r.o.Window.Seconds())
			}
			last = got
			r.o.Logf("%.0f requests/s: %d of %d, with moves %d of %d (%d moved, %d refused)", rate, got[false].Done, got[false].Requests, got[true].Done, got[true].Requests, got[true].Moved, got[true].Refused)
		}
		for _, moves := range []bool{false, true} {
			o := last[moves]
			fig.Add(names[moves], rate, rates[moves], fmt.Sprint(o.Moved), fmt.Sprint(o.Refused), fmt.Sprintf("%.1f", 100*float64(o.Done)/float64(max(1, o.Requests))))
		}
		if plain := result.Median(rates[false]); plain > 0 {
			best = max(best, result.Median(rates[true])/plain)
		}
	}
	fig.Notef("with moves at most %.2f times the plain server's successes (to reach where that is overloaded: 1.5)", best)
	return fig, nil
}

var names = map[bool]string{false: "ours: plain server", true: "ours: sessions move after 10 s"}

// both kinds of server at once, each with its own machines and the same requests.
func (r *rig) both(ctx context.Context, rate float64, seed uint64) (map[bool]webload.Outcome, error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var errs error
	got := map[bool]webload.Outcome{}
	for _, moves := range []bool{false, true} {
		wg.Go(func() {
			out, err := r.load(ctx, moves, rate, seed)
			mu.Lock()
			defer mu.Unlock()
			errs = errors.Join(errs, err)
			got[moves] = out
		})
	}
	wg.Wait()
	return got, errs
}

// sizes is Figure 2.14.
func (r *rig) sizes(ctx context.Context) (*result.Figure, error) {
	fig := &result.Figure{Name: "fig214", Title: "Figure 2.14: sizes of what was asked for and of what moved", X: "KB", LogX: true, Y: "% of requests up to that size", Machine: result.Host()}
	rate := loads[len(loads)-1] * full()
	var out webload.Outcome
	for run := range r.o.Runs {
		one, err := r.load(ctx, true, rate, uint64(run)+r.o.Seed)
		if err != nil {
			return nil, err
		}
		out.All, out.Away = append(out.All, one.All...), append(out.Away, one.Away...)
	}
	if len(out.Away) == 0 {
		return nil, errors.New("nothing has moved")
	}
	fig.Notef("%.0f requests/s, %d requests, %d moved; sizes are those of the law in bench/webload, the paper's trace is not published", rate, len(out.All), len(out.Away))
	fig.Notef("the paper: 90th percentile of all under 128 KB, of what moved over 384 KB; ours: %.0f and %.0f KB", percentile(out.All), percentile(out.Away))
	cumulate(fig, "ours: all requests", out.All)
	cumulate(fig, "ours: moved", out.Away)
	return fig, nil
}

func percentile(sizes []int) float64 {
	s := slices.Sorted(slices.Values(sizes))
	return float64(s[len(s)*9/10]) / 1024
}

// cumulate adds what part of the sizes is up to 1, 2, 4 ... KB.
func cumulate(fig *result.Figure, name string, sizes []int) {
	for kb := 1.0; kb <= 8192; kb *= 2 {
		n := 0
		for _, s := range sizes {
			if float64(s) <= kb*1024 {
				n++
			}
		}
		fig.Add(name, kb, []float64{100 * float64(n) / float64(len(sizes))})
	}
}
