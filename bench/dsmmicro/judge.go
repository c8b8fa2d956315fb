// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"lazystate/bench/result"
	"lazystate/dsm/pager"
)

// samples are by series and operation.
type samples map[string]map[string][]float64

// median is false where nothing was measured.
func (s samples) median(series, operation string) (float64, bool) {
	v := s[series][operation]
	return result.Median(v), len(v) > 0
}

// argo is the best median that ArgoDSM has over a way's transport.
func (s samples) argo(w way, operation string) (least float64, ok bool) {
	for _, load := range loads {
		if v, there := s.median(argoSeries(w.peer, load), operation); there && (!ok || v < least) {
			least, ok = v, true
		}
	}
	return least, ok
}

// bound is what an operation is to reach: so many microseconds, or so many times what
// ArgoDSM takes over the same transport.
type bound struct {
	operation string
	in        func(way) bool
	most      float64
	times     float64
	andScan   bool // and a PAGEMAP_SCAN more
}

func always(way) bool    { return true }
func shared(w way) bool  { return w.peer == &peers.Shared }
func isAsync(w way) bool { return w.mode == pager.Async }
func isSync(w way) bool  { return w.mode == pager.Sync }

// bounds are this project's own. A fault at each first write has none: it is what the
// kernel's fault costs.
var bounds = []bound{
	{operation: readMiss, in: always, times: 0.6},
	{operation: readMiss, in: shared, most: 7},
	{operation: upgrade, in: isAsync, most: 1.5},
	{operation: barrier, in: isAsync, times: 1, andScan: true},
	{operation: barrier, in: isSync, times: 1},
	{operation: cached, in: always, most: 0.3},
}

// judge notes of each bound whether it was kept to, by medians.
func judge(fig *result.Figure, s samples) {
	for _, b := range bounds {
		for _, w := range ways {
			if got, ok := s.median(w.series(), b.operation); ok && b.in(w) {
				b.judge(fig, s, w, got)
			}
		}
	}
}

func (b bound) judge(fig *result.Figure, s samples, w way, got float64) {
	what := b.operation + ", " + w.name
	if b.times == 0 {
		fig.Bound(what, got, b.most, fig.Y, "of its own")
		return
	}
	argo, ok := s.argo(w, b.operation)
	if !ok {
		fig.Notef("bound: %s: not judged, ArgoDSM over %s was not there", what, w.peer.Transport)
		return
	}
	most, by := b.times*argo, fmt.Sprintf("%g x ArgoDSM's %.3f", b.times, argo)
	if b.andScan {
		v, _ := s.median(w.series(), scan)
		most, by = most+v, by+fmt.Sprintf(" and a %s", scan)
	}
	fig.Bound(what, got, most, fig.Y, by)
}
