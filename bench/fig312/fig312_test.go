// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"lazystate/bench/auctionload"
	"lazystate/bench/bedtest"
	"lazystate/bench/trial"
	"lazystate/examples/auction/load"
	"lazystate/tools/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m, 2)) }

// All conditions at a tiny size: six machines of the lab die for it.
func TestRuns(t *testing.T) {
	if !lab.Soak() {
		t.Skip("minutes: with LAZYSTATE_SOAK=1")
	}
	lab.Need(t)
	fig := bedtest.Measured(t, &program, "--runs=1", "--kernel=6.12", "--clients=16", "--think=0.02", "--window=3s")
	if want := 6 * len(conditions); len(fig.Points) != want {
		t.Errorf("%d points, want %d", len(fig.Points), want)
	}
	if !strings.Contains(strings.Join(fig.Notes, ""), "did not begin") {
		t.Errorf("CRIU: %q", fig.Notes)
	}
}

// What was received, connected and refused lies in its second, and the gap is found.
func TestBins(t *testing.T) {
	at := time.Now()
	s := func(x float64) time.Time { return at.Add(time.Duration(x * float64(time.Second))) }
	seen := auctionload.Seen{
		{{Sent: s(0.2), Done: s(0.3), Bytes: 1024}, {Sent: s(1.1), Done: s(1.6), Bytes: 512, Connected: true}, {Sent: s(1.9), Done: s(2.5), Bytes: 1}},
		{{Sent: s(-1.5), Done: s(-1.2), Bytes: 2048, Connected: true}, {Sent: s(-3), Done: s(-2.5), Bytes: 1, Connected: true}, {Sent: s(0.1), Err: errors.New("a reset")}},
	}
	got := bins(seen, at, 2*time.Second)
	want := []bin{{bytes: 2048, connections: 1}, {}, {bytes: 1024, failed: 1}, {bytes: 512, connections: 1}}
	for i := range want {
		if got.bins[i] != want[i] {
			t.Errorf("bin %d: %+v, want %+v", i, got.bins[i], want[i])
		}
	}
	if got.failed != 1 || got.gap.Round(time.Millisecond) != 1300*time.Millisecond {
		t.Errorf("%d failed, a gap of %v", got.failed, got.gap)
	}
	all := &series{o: &trial.Options{}, all: make([]across, len(conditions)), criu: "no"}
	for i := range all.all {
		all.all[i].add(got)
		all.all[i].add(bins(auctionload.Seen{{load.Event{Sent: s(0.5), Done: s(0.6), Bytes: 3072}}}, at, 2*time.Second))
	}
	connections = false
	fig := all.figure()
	if p := fig.Points[2]; p.X != 0 || p.Y != 2 || p.Low != 1 || p.High != 3 || p.More[0] != "0.0" || p.More[1] != "0.5" {
		t.Errorf("%+v", p)
	}
}
