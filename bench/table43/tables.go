// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"lazystate/bench/result"
	"lazystate/tools/dsmd/status"
)

const mb = 1e6

// columns are those of Tables 4.1 to 4.4, but for the time. All are means of the
// nodes, and medians of the runs, but for what is a greatest.
var columns = []struct {
	name  string
	paper func(paper) float64
	ours  func(measurement) float64
}{
	{"shared MB", func(p paper) float64 { return p.shared }, func(m measurement) float64 { return float64(m.region) / mb }},
	{"traffic MB", func(p paper) float64 { return p.traffic }, func(m measurement) float64 { return m.mean(traffic) / mb }},
	{"control MB", func(p paper) float64 { return p.control }, func(m measurement) float64 { return m.mean(control) / mb }},
	{"control %", func(p paper) float64 { return p.controlShare }, controlShare},
	{"taking or logging s", func(p paper) float64 { return p.logging }, func(m measurement) float64 { return m.mean(taking) }},
	{"disk write s", func(p paper) float64 { return p.disk }, func(m measurement) float64 { return m.mean(writing) }},
	{"W max", func(p paper) float64 { return float64(p.window) }, func(m measurement) float64 { return m.most(windowMost) }},
	{"max log MB", func(p paper) float64 { return p.log }, func(m measurement) float64 { return m.mean(logMost) / mb }},
	{"disk traffic MB", func(p paper) float64 { return p.written }, func(m measurement) float64 { return m.mean(written) / mb }},
	{"logs MB", func(p paper) float64 { return p.created }, func(m measurement) float64 { return m.mean(created) / mb }},
	{"saved %", func(p paper) float64 { return p.savedPct }, func(m measurement) float64 { return percent(m.mean(saved), m.mean(created)) }},
	{"discarded %", func(p paper) float64 { return p.discardedPct }, func(m measurement) float64 { return percent(m.mean(discarded), m.mean(created)) }},
}

func traffic(r status.Report) (sum float64) {
	for _, p := range r.Peers {
		sum += float64(p.SentBytes)
	}
	return sum
}
func control(r status.Report) float64    { return float64(r.Counters.NewsBytes) }
func taking(r status.Report) float64     { return r.Times.Taking.Seconds() }
func writing(r status.Report) float64    { return r.Times.Writing.Seconds() }
func windowMost(r status.Report) float64 { return float64(r.Counters.WindowMost) }
func logMost(r status.Report) float64    { return float64(r.Counters.LogMost) }
func written(r status.Report) float64    { return float64(r.DiskBytes) }
func created(r status.Report) float64    { return float64(r.Counters.LogCreated) }
func saved(r status.Report) float64      { return float64(r.Counters.LogSaved) }
func discarded(r status.Report) float64  { return float64(r.Counters.LogGone) }

// percent is 0 of nothing.
func percent(part, of float64) float64 {
	if of == 0 {
		return 0
	}
	return 100 * part / of
}

func tables(ctx context.Context, b *bed) (*result.Figure, error) {
	fig := &result.Figure{Title: "Tables 4.1 to 4.4: fault tolerance of the DSM", X: "application", Y: "execution time, s", XNames: names(), Columns: []string{"checkpoints", "increase %"}}
	for _, c := range columns {
		fig.Columns = append(fig.Columns, c.name)
	}
	fig.Notef("logging: ours is in what the daemon does anyway, for homes have to be sent the same diffs; in its column is the time to take checkpoints. Disk writes of ours are behind the program's back")
	for i, a := range apps {
		x := float64(i + 1)
		fig.Paper("paper: base", x, a.paper.base)
		more := []string{a.paper.checkpoints, short(a.paper.increase)}
		for _, c := range columns {
			more = append(more, short(c.paper(a.paper)))
		}
		fig.Points = append(fig.Points, result.Point{Series: "paper: L %", X: x, Y: a.paper.time, Low: a.paper.time, High: a.paper.time, More: more})
		got, err := b.all(ctx, a, policies)
		if err != nil {
			return nil, err
		}
		without := median(got[policies[base].name], seconds)
		for _, p := range policies {
			all := got[p.name]
			increase := percent(median(all, seconds)-without, without)
			if p.name == policies[aligned].name {
				fig.Bound(a.name+", "+p.name, increase, a.most, "% more time", "of its own")
			}
			more := []string{checkpoints(all), short(increase)}
			for _, c := range columns {
				more = append(more, short(median(all, c.ours)))
			}
			fig.Add("ours: "+p.name, x, samples(all, seconds), more...)
		}
	}
	return fig, nil
}

// checkpoints are the least and most that a node took in the first run.
func checkpoints(all []measurement) string {
	least, most := all[0].nodes[0].Counters.Saved, uint64(0)
	for _, r := range all[0].nodes {
		least, most = min(least, r.Counters.Saved), max(most, r.Counters.Saved)
	}
	if least == most {
		return strconv.FormatUint(most, 10)
	}
	return fmt.Sprintf("%d-%d", least, most)
}

func short(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }

// components of a program's time, of Figure 4.7.
var components = []struct {
	name string
	of   func(status.Report) time.Duration
}{
	{"pages", func(r status.Report) time.Duration { return r.Times.Pages }},
	{"locks", func(r status.Report) time.Duration { return r.Times.Locks }},
	{"barriers", func(r status.Report) time.Duration { return r.Times.Barriers }},
	{"other calls", func(r status.Report) time.Duration { return r.Times.Calls }},
	{"daemon", func(r status.Report) time.Duration { return r.Times.Busy }},
	{"checkpoints taken", func(r status.Report) time.Duration { return r.Times.Taking }},
	{"checkpoints written", func(r status.Report) time.Duration { return r.Times.Writing }},
}

const barriers = 3 // its place among these

func breakdown(ctx context.Context, b *bed) (*result.Figure, error) {
	fig := &result.Figure{Name: "fig47", Title: "Figure 4.7: where the time goes, base and with logs and checkpoints", X: "component", Y: "% of the base execution time"}
	for _, c := range components {
		fig.XNames = append(fig.XNames, c.name)
	}
	fig.XNames = append(fig.XNames, "all")
	fig.Notef("pages, locks, barriers, other calls: what programs wait for; daemon, with checkpoints taken: its work under the node's lock, in part while the program waits for it; of the paper's figure the text tells two numbers")
	fig.Paper("paper: Barnes, base", barriers, 12)
	fig.Paper("paper: Barnes, L %", barriers, 28)
	for _, a := range apps {
		got, err := b.all(ctx, a, policies)
		if err != nil {
			return nil, err
		}
		whole := median(got[policies[base].name], seconds)
		for _, p := range policies {
			for i, c := range components {
				share := func(m measurement) float64 {
					return percent(m.mean(func(r status.Report) float64 { return c.of(r).Seconds() }), whole)
				}
				fig.Add(a.name+", "+p.name, float64(i+1), samples(got[p.name], share))
			}
			fig.Add(a.name+", "+p.name, float64(len(fig.XNames)), samples(got[p.name], func(m measurement) float64 { return percent(m.seconds, whole) }))
		}
	}
	return fig, nil
}
