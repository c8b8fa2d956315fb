// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"lazystate/bench/result"
	"lazystate/dsm"
)

// enough is how many checkpoints each node takes in a long run, at least: whether what
// is kept is bounded shows behind the first few.
const enough = 20

// mostTries bounds how often a run is made longer for them.
const mostTries = 5

// longer is an application of n times as many steps.
func (a app) longer(n int) app {
	a.args, a.tiny = times(a.args, n), times(a.tiny, n)
	return a
}

func times(args []string, n int) []string {
	args = slices.Clone(args)
	i := 1 + slices.Index(args, "--steps")
	steps, err := strconv.Atoi(args[i])
	if err != nil {
		panic(fmt.Sprintf("--steps %s: %v", args[i], err))
	}
	args[i] = strconv.Itoa(steps * n)
	return args
}

// long runs an application for so many steps that each node takes enough checkpoints.
func (b *bed) long(ctx context.Context, a app, p policy) (app, []measurement, error) {
	var all []measurement
	for tries := 1; len(all) < b.o.Runs; {
		m, err := b.once(ctx, a, p)
		if err != nil {
			return a, nil, err
		}
		least := m.leastCheckpoints()
		switch {
		case least >= enough:
			all = append(all, m)
		case tries == mostTries:
			return a, nil, fmt.Errorf("%s, %s: %d checkpoints of a node, not %d, by %v", a.name, p.name, least, enough, a.args)
		default:
			tries++
			a, all = a.longer(max(2, (enough+least)/max(least, 1))), nil
		}
	}
	return a, all, nil
}

// leastCheckpoints is of all nodes.
func (m measurement) leastCheckpoints() int {
	least := m.nodes[0].Counters.Saved
	for _, r := range m.nodes {
		least = min(least, r.Counters.Saved)
	}
	return int(least)
}

// growth is the largest log on stable storage in the second half of a run by that in
// the first, of the node where it grew most.
func growth(m measurement) (most float64) {
	for i := range m.nodes {
		var half [2]float64
		all := read(m.log, dsm.NodeID(i))
		for k, s := range all {
			h := 2 * k / len(all)
			half[h] = max(half[h], s.log)
		}
		if half[0] > 0 {
			most = max(most, half[1]/half[0])
		}
	}
	return most
}

func keptShare(m measurement) float64 { return 100 - percent(m.mean(discarded), m.mean(created)) }
func controlShare(m measurement) float64 {
	return percent(m.mean(control), m.mean(traffic))
}

// kept are what a long run is to keep to, all of them this project's bounds.
var kept = []struct {
	name string
	of   func(measurement) float64
	most float64
	unit string
}{
	{"logs kept", keptShare, 20, "%"},
	{"W max", func(m measurement) float64 { return m.most(windowMost) }, 3, "checkpoints"},
	{"control", controlShare, 0.25, "%"},
	{"largest log, second half by first", growth, 1.25, "x"},
}

func longRun(ctx context.Context, b *bed) (*result.Figure, error) {
	fig := &result.Figure{
		Name: "table43-long", Title: "A long run: what is left of the logs", X: "application", Y: "logs discarded, %", XNames: names(),
		Columns: []string{"checkpoints", "program", "s", "max log MB"},
	}
	for _, k := range kept[1:] {
		fig.Columns = append(fig.Columns, k.name)
	}
	b.debug = true
	for i, a := range apps {
		fig.Paper("paper: L %", float64(i+1), a.paper.discardedPct)
		for _, p := range policies[overflow:] {
			a, all, err := b.long(ctx, a, p)
			if err != nil {
				return nil, err
			}
			args, _ := b.size(a)
			more := []string{checkpoints(all), strings.Join(args, " "), short(median(all, seconds)), short(median(all, func(m measurement) float64 { return m.mean(logMost) / mb }))}
			for _, k := range kept {
				fig.Bound(fmt.Sprintf("%s, %s, %s", a.name, p.name, k.name), median(all, k.of), k.most, k.unit, "of its own")
			}
			for _, k := range kept[1:] {
				more = append(more, short(median(all, k.of)))
			}
			fig.Add("ours: "+p.name, float64(i+1), samples(all, func(m measurement) float64 { return 100 - keptShare(m) }), more...)
		}
	}
	return fig, nil
}
