// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"lazystate/bench/result"
)

// bound is how long one of our carriers may take beside another's time for the same, or
// for what stands for it: UCX's get waits until the passive process looks, so that a READ
// is held against its put.
type bound struct {
	name       string
	kind       kind
	than       string
	other      kind
	most, wish float64 // wish 0: none
}

var (
	latencyBounds = []bound{
		{roceName, read, tcpName, read, 1.15, 1},
		{roceName, read, ucxName, write, 0.5, 0},
		{roceName, cas, ucxName, cas, 0.9, 0},
	}
	bandwidthBounds = []bound{
		{roceName, read, ucxName, write, 1. / 2, 1 / 2.5},
		{roceName, write, ucxName, write, 1. / 2, 1 / 2.5},
		{shmName, read, copyName, read, 2, 0},
		{shmName, write, copyName, write, 2, 0},
		{shmName, read, sharedCopyName, read, 2, 0},
		{shmName, write, sharedCopyName, write, 2, 0},
	}
)

// judge notes which bounds are kept, by the median of the rounds' ratios. rates: the
// samples are bytes a second, of which the other's stand above the line.
func judge(fig *result.Figure, samples map[string][][]float64, points []point, bounds []bound, rates bool) {
	for _, b := range bounds {
		what := fmt.Sprintf("%s: %s beside %s of %s", points[b.kind].name, b.name, points[b.other].name, b.than)
		over, under := of(samples, b.name, b.kind), of(samples, b.than, b.other)
		if rates {
			over, under = under, over
		}
		got, ok := ratio(over, under)
		if !ok {
			fig.Notef("bound: %s: not judged, one was not measured", what)
			continue
		}
		by := "the issue's"
		if b.wish > 0 {
			by += fmt.Sprintf(", which wishes for %.3g", b.wish)
		}
		fig.Bound(what, got, b.most, "x its time", by)
	}
}

// of are the samples of one thing, none of what was not measured.
func of(samples map[string][][]float64, name string, k kind) []float64 {
	if s := samples[name]; int(k) < len(s) {
		return s[k]
	}
	return nil
}

// ratio is the median of the rounds' own ratios of a to b, if there were rounds.
func ratio(a, b []float64) (float64, bool) {
	var r []float64
	for j := range min(len(a), len(b)) {
		r = append(r, a[j]/b[j])
	}
	return result.Median(r), len(r) > 0
}
