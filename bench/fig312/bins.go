// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"time"

	"lazystate/bench/auctionload"
	"lazystate/bench/result"
)

// bin is a second.
type bin struct {
	bytes, connections, failed int
}

// across is a crash, with as many bins before as behind it.
type across struct {
	runs   [][]bin
	gaps   []float64 // ms: the longest that no client of the first front end received anything, behind the crash
	failed int
	why    error
}

// one is a run's.
type one struct {
	bins   []bin
	gap    time.Duration
	failed int
	why    error
}

func (o one) String() string {
	return fmt.Sprintf("%d requests failed; no client of the first front end received anything for %.0f ms at most", o.failed, o.gap.Seconds()*1e3)
}

// bins sorts what clients have seen into seconds around a moment.
func bins(seen auctionload.Seen, at time.Time, window time.Duration) one {
	half := int(window / time.Second)
	o := one{bins: make([]bin, 2*half)}
	in := func(t time.Time) *bin {
		i := int((t.Sub(at) + window) / time.Second)
		if t.Before(at.Add(-window)) || i >= len(o.bins) {
			return &bin{}
		}
		return &o.bins[i]
	}
	var heard []time.Time
	for front, events := range seen {
		for i := range events {
			e := &events[i]
			if e.Connected {
				in(e.Sent).connections++
			}
			if e.Err != nil {
				in(e.Sent).failed++
				o.failed, o.why = o.failed+1, e.Err
				continue
			}
			in(e.Done).bytes += e.Bytes
			if front == 0 {
				heard = append(heard, e.Done)
			}
		}
	}
	o.gap = gap(heard, at, at.Add(window))
	return o
}

// gap is the longest time between two moments, or between one and the end, behind a
// beginning.
func gap(all []time.Time, from, to time.Time) (most time.Duration) {
	sorted := make([]time.Duration, 0, len(all)+1)
	for _, t := range all {
		if !t.Before(from) && t.Before(to) {
			sorted = append(sorted, t.Sub(from))
		}
	}
	slices.Sort(sorted)
	last := time.Duration(0)
	for _, d := range append(sorted, to.Sub(from)) {
		most, last = max(most, d-last), d
	}
	return most
}

func (a *across) add(o one) {
	a.runs = append(a.runs, o.bins)
	a.gaps = append(a.gaps, o.gap.Seconds()*1e3)
	a.failed += o.failed
	if o.why != nil {
		a.why = o.why
	}
}

// each has a value of every run for one bin.
func (a *across) each(i int, f func(bin) float64) (all []float64) {
	for _, bins := range a.runs {
		all = append(all, f(bins[i]))
	}
	return all
}

func (s *series) figure() *result.Figure {
	fig := &result.Figure{Title: "Figure 3.12: what clients receive across a crash", X: "s", Y: "KB/s", Machine: s.machine, Columns: []string{"connections/s", "failed/s"}}
	received, made := func(b bin) float64 { return float64(b.bytes) / 1024 }, func(b bin) float64 { return float64(b.connections) }
	value, other := received, made
	if connections {
		fig.Name, fig.Title, fig.Y = "fig312-connections", "Figure 3.12: connections that clients make across a crash", "connections/s"
		fig.Columns[0] = "KB/s"
		value, other = made, received
	}
	failed := func(b bin) float64 { return float64(b.failed) }
	fig.Notef("%d browsing clients, half at each front end, normal think time of 7 s x %g, %d requests over a connection on average; bins of 1 s, the crash at 0; detected %v later", clients, think, visit, deadline)
	fig.Notef("the paper: the effect of crash and recovery is indistinguishable from normal variations of the workload; its axes are not legible in numbers")
	text := func(v float64) string { return fmt.Sprintf("%.1f", v) }
	for i, c := range conditions {
		a := &s.all[i]
		for j := range a.runs[0] {
			x := float64(j - len(a.runs[0])/2)
			fig.Add(c.name, x, a.each(j, value), text(result.Median(a.each(j, other))), text(result.Median(a.each(j, failed))))
		}
		fig.Notef("%s: %d requests failed in %d runs; no client of the first front end received anything for %.0f ms at most behind the crash (median of the runs)", c.name, a.failed, len(a.runs), result.Median(a.gaps))
		if a.why != nil {
			fig.Notef("%s: one failed by: %v", c.name, a.why)
		}
	}
	fig.Notef("today's have no boxes; the service is started again at once (an init system waits before), the address is taken over with the same detector (keepalived's default: 3 s and more)")
	fig.Notef("CRIU: %s", s.criu)
	return fig
}
