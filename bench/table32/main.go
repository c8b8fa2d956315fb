// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"time"

	"lazystate/backdoor"
	"lazystate/bench/guest"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/mtcp/salvage"
	"lazystate/tools/lab"
)

var sessions int

var program = trial.Program{
	Name: "table32", About: "extraction of sessions from another machine's memory (Table 3.2)", Runs: 20, Timeout: 20 * time.Minute,
	Flags: func(fs *flag.FlagSet) { fs.IntVar(&sessions, "sessions", 100, "sessions that are read at once") },
	Takes: func(o *trial.Options) time.Duration {
		return trial.Boot + time.Duration(len(paper)*len(guest.Carriers)*o.Runs)*200*time.Millisecond + time.Minute
	},
	Measure: measure,
}

func main() { program.Exit() }

// paper is Table 3.2's extraction, microseconds by KB of state.
var paper = []struct {
	kb int
	us float64
}{{1, 158}, {5, 258}, {10, 358}}

func measure(ctx context.Context, o *trial.Options) (*result.Figure, error) {
	o.Logf("booting the server with Linux %s", o.Kernel)
	w, err := guest.Wire(ctx, guest.WiredConfig{Name: "bench-table32", Seed: o.Seed, Build: []string{"tools/bdagent", "tools/scd", "examples/ttcp"}, Lab: lab.Config{Kernel: o.Kernel}})
	if err != nil {
		return nil, err
	}
	fig := &result.Figure{
		Title: "Table 3.2: extraction of a session's state", X: "KB of state", Y: "us a session", LogY: true, Machine: w.Machine(),
		Columns: []string{"reads a session", "batches", "bytes a session"},
	}
	fig.Notef("ours: directory, sockets, boxes, checked and planned; paper: and reinstated")
	return fig, errors.Join(all(ctx, o, w, fig), w.Close())
}

func all(ctx context.Context, o *trial.Options, w *guest.Wired, fig *result.Figure) error {
	s, err := serve(ctx, w)
	if err != nil {
		return err
	}
	for _, p := range paper {
		fig.Paper("paper: CB extraction", float64(p.kb), p.us)
		for _, n := range []int{1, sessions} {
			if err := s.with(ctx, p.kb, n, func() error { return extractions(ctx, o, w, fig, p.kb, n) }); err != nil {
				return fmt.Errorf("%d sessions of %d KB: %w", n, p.kb, err)
			}
		}
	}
	return nil
}

func extractions(ctx context.Context, o *trial.Options, w *guest.Wired, fig *result.Figure, kb, n int) error {
	for _, c := range guest.Carriers {
		if err := extraction(ctx, o, w, fig, c, kb, n); err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
	}
	return nil
}

// extraction reads n sessions some times by one carrier.
func extraction(ctx context.Context, o *trial.Options, w *guest.Wired, fig *result.Figure, c guest.Carrier, kb, n int) (err error) {
	mem, err := w.Open(ctx, c, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mem.Close()) }()
	t, err := backdoor.Open(ctx, mem)
	if err != nil {
		return err
	}
	cfg := salvage.Config{Target: t, Services: []netip.Prefix{netip.MustParsePrefix(guest.TargetAddr + "/24")}}
	var us []float64
	var last *salvage.Report
	batches := uint64(0)
	for range o.Runs {
		began := time.Now()
		if last, err = salvage.Look(ctx, cfg); err != nil {
			return err
		}
		us = append(us, float64(time.Since(began).Nanoseconds())/1e3/float64(n))
		if last.Saved() != n {
			return fmt.Errorf("%d of %d could be carried out: %+v", last.Saved(), n, last.Sessions)
		}
		batches = max(batches, last.Batches)
	}
	each := func(x uint64) string { return fmt.Sprintf("%.1f", float64(x)/float64(n)) }
	what := map[bool]string{true: "ours: one session", false: fmt.Sprintf("ours: each of %d", n)}[n == 1]
	fig.Add(fmt.Sprintf("%s (%s)", what, c), float64(kb), us, each(last.Reads), fmt.Sprint(last.Batches), each(last.Bytes))
	if c == guest.INIC && n == sessions {
		bounds(fig, kb, us, batches)
	}
	o.Logf("%d KB, %d sessions, %s: %.1f us each, %s reads each in %d batches", kb, n, c, result.Median(us), each(last.Reads), last.Batches)
	return nil
}

// bounds are the issue's, of a hundred idle sessions over the I-NIC.
func bounds(fig *result.Figure, kb int, us []float64, batches uint64) {
	const mostBatches, mostUs, by = 10, 200, "100 idle sessions, of the issue"
	what := fmt.Sprintf("%d sessions of %d KB (%s)", sessions, kb, guest.INIC)
	fig.Bound(what, float64(batches), mostBatches, "batches", by)
	fig.Bound(what, result.Median(us), mostUs, "us a session", by)
}
