// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"time"

	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/tools/testbed"
)

// settings are this bench's own flags.
type settings struct {
	processes int
	mute      bool
	mbit      uint64
	size      uint64
	rounds    int
}

var set settings

var program = trial.Program{
	Name: "ttcp", About: "throughput of a stream from servers that take snapshots and move (Figures 2.8 to 2.10)", Runs: 2, Timeout: 40 * time.Minute,
	Flags: func(fs *flag.FlagSet) {
		set = settings{}
		fs.IntVar(&set.processes, "processes", 1, "of the server: 1 or 2")
		fs.BoolVar(&set.mute, "mute", false, "the second process takes no snapshots")
		fs.Uint64Var(&set.mbit, "mbit", 100, "Mbit/s of each link")
		fs.Uint64Var(&set.size, "size", 400<<20, "bytes of the stream")
		fs.IntVar(&set.rounds, "rounds", 15, "runs of each point without a bound")
	},
	Takes: func(o *trial.Options) time.Duration {
		stream := time.Duration(float64(set.size*8) / float64(set.mbit) * 1e3)
		return time.Duration(o.Runs*len(states))*(stream+2*time.Second) + time.Duration(set.rounds*(2*len(states)+1))*time.Second + 20*time.Second
	},
	Measure: measure,
}

func main() { program.Exit() }

var (
	states  = []int{1, 5, 10} // KB of a snapshot
	periods = []time.Duration{0, 2 * time.Second, 5 * time.Second, 10 * time.Second}
)

// server is one way to serve.
type server struct {
	base, lazy bool
	kb         int
}

func (s server) String() string {
	switch {
	case s.base:
		return "base"
	case s.lazy:
		return "lazy"
	}
	return "eager"
}

func (s server) args() []string {
	args := []string{"serve", "--keeper", "KEEPER", "--listen", "[::]:PORT", "--size", fmt.Sprint(set.size), "--processes", fmt.Sprint(set.processes), "--state", fmt.Sprint(s.kb << 10)}
	switch {
	case s.base:
		args = append(args, "--base")
	case s.lazy:
		args = append(args, "--lazy")
	}
	return args
}

func (s server) back() []string {
	args := []string{"back", "--keeper", "KEEPER", "--size", fmt.Sprint(set.size), "--state", fmt.Sprint(s.kb << 10)}
	if s.lazy {
		args = append(args, "--lazy")
	}
	if set.mute {
		args = append(args, "--export", "0")
	}
	return args
}

// how a client reads.
func how(period time.Duration) string {
	if period == 0 {
		return "stays"
	}
	return fmt.Sprintf("moves every %v", period)
}

func measure(ctx context.Context, o *trial.Options) (*result.Figure, error) {
	defer testbed.Done()
	name, title := "fig28", "Figure 2.8: a stream from one process"
	switch {
	case set.mute:
		name, title = "fig210", "Figure 2.10: a stream from two processes, the second takes no snapshots"
	case set.processes > 1:
		name, title = "fig29", "Figure 2.9: a stream from two processes"
	}
	fig := &result.Figure{Name: name, Title: title, X: "state, KB", Y: "% of the base server's throughput", Machine: result.Host(), Columns: []string{"KB/s", "moves", "not moved", "longest gap ms"}}
	fig.Notef("%d bytes a client; links of %d Mbit/s with 20 ms of room; lazy and eager at once, their four clients at once, each with a link of its own", set.size, set.mbit)
	fig.Notef("unlimited: one client alone, no bound but the processors; %d rounds, base and all others in turns; n counts what was measured", set.rounds)
	fig.Notef("%s", paper[name])
	s := &samples{map[key][]one{}}
	if err := unlimited(ctx, o, s); err != nil {
		return nil, fmt.Errorf("unlimited: %w", err)
	}
	if err := limited(ctx, o, s); err != nil {
		return nil, err
	}
	s.fill(fig)
	return fig, nil
}

// paper is what the text says of the figures, whose values it does not print.
var paper = map[string]string{
	"fig28":  "the paper: base 7,988 KB/s; lazy loses nothing while it stays; most is lost at 2 s, eager, 10 KB: under 1 %",
	"fig29":  "the paper: base 7,934 KB/s; eager loses up to 1 % while it stays; most is lost at 2 s, eager, 10 KB: 1.5 %",
	"fig210": "the paper: visibly less than Figure 2.9 the more often the client moves; no figures in the text",
}

// key is a point of the figure.
type key struct {
	server
	period    time.Duration
	unlimited bool
}

// one is what a client has seen.
type one struct {
	kbs    float64
	moves  int
	stayed int // attempts that came to nothing, the last one after the stream's end among them
	gap    time.Duration
}

type samples struct{ of map[key][]one }

func (s *samples) add(k key, r one) { s.of[k] = append(s.of[k], r) }

// fill makes of each throughput a part of the base server's.
func (s *samples) fill(fig *result.Figure) {
	base := map[bool]float64{}
	for _, fast := range []bool{false, true} {
		var all []float64
		for _, r := range s.of[key{server: server{base: true}, unlimited: fast}] {
			all = append(all, r.kbs)
		}
		base[fast] = result.Median(all)
	}
	fig.Notef("the base server: %.0f KB/s on its link, %.0f KB/s unlimited", base[false], base[true])
	for _, fast := range []bool{true, false} {
		for _, lazy := range []bool{true, false} {
			for _, p := range periods {
				for _, kb := range states {
					k := key{server{lazy: lazy, kb: kb}, p, fast}
					s.point(fig, k, cmp.Or(base[fast], 1))
				}
			}
		}
	}
}

func (s *samples) point(fig *result.Figure, k key, base float64) {
	var part, kbs, gap, moves, stayed []float64
	for _, r := range s.of[k] {
		part, kbs, gap, moves = append(part, 100*r.kbs/base), append(kbs, r.kbs), append(gap, r.gap.Seconds()*1e3), append(moves, float64(r.moves))
		stayed = append(stayed, float64(r.stayed))
	}
	name := fmt.Sprintf("%s, %s", k.server, how(k.period))
	if k.unlimited {
		name += ", unlimited"
	}
	fig.Add(name, float64(k.kb), part, fmt.Sprintf("%.0f", result.Median(kbs)), fmt.Sprint(result.Median(moves)), fmt.Sprint(result.Median(stayed)), fmt.Sprintf("%.1f", result.Median(gap)))
}
