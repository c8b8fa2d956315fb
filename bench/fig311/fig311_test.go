// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"lazystate/bench/auctionload"
	"lazystate/bench/bedtest"
	"lazystate/bench/result"
	"lazystate/tools/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m, 2)) }

// All three cases at a tiny size: four machines of the lab die for it.
func TestRuns(t *testing.T) {
	if !lab.Soak() {
		t.Skip("minutes: with LAZYSTATE_SOAK=1")
	}
	lab.Need(t)
	fig := bedtest.Measured(t, &program, "--runs=1", "--kernel=6.12", "--clients=16", "--think=0.02", "--after=2s", "--window=2s")
	bedtest.Positive(t, fig, 9)
}

// What a figure is made of: averages of all that waited, the steps of who waited
// longest, and whether the aims are reached.
func TestFigure(t *testing.T) {
	now := time.Now()
	made := func(first ...time.Duration) *run {
		r := newRun(&auctionload.Recovery{Crashed: now, Detected: now, Lives: map[string]time.Time{"a": now.Add(3 * time.Millisecond)}, Marks: []auctionload.Mark{
			{Name: "told", At: now.Add(2 * time.Millisecond)}, {Name: "told", At: now.Add(9 * time.Millisecond)},
		}}, auctionload.Seen{}, auctionload.Tiers{Front: true}, nil)
		for _, d := range first {
			r.waits = append(r.waits, auctionload.Wait{First: d, Live: 3 * time.Millisecond})
		}
		return r
	}
	all := make([]found, len(cases))
	for i := range all {
		all[i].add(made(10 * time.Millisecond))
		all[i].add(made())
		all[i].add(made(6*time.Millisecond, 30*time.Millisecond))
	}
	fig, err := figure(result.Machine{}, all)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, p := range fig.Points {
		if p.X == 1 {
			got[p.Series] = p.Y
		}
	}
	for series, want := range map[string]float64{
		"paper: average": 11.8, "ours: average": 46.0 / 3, "ours: first byte of a reply that was under way": 10, "ours: each session of the front end lives": 3,
		"step, told": 2, "worst session, told": 2, "worst session, its session lives": 3, "worst session, first byte": 30,
	} {
		if d := got[series] - want; d > 0.01 || d < -0.01 {
			t.Errorf("%s: %v, want %v", series, got[series], want)
		}
	}
	if notes := strings.Join(fig.Notes, "\n"); !strings.Contains(notes, "FE: 3 requests were under way, on average 15.3 ms (aim 12: missed), worst 30.0 (aim 25: missed)") {
		t.Error(notes)
	}
	if _, err := figure(result.Machine{}, make([]found, len(cases))); err == nil {
		t.Error("a figure of nobody's")
	}
}
