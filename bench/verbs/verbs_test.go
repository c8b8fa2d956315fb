// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"strings"
	"testing"

	"lazystate/bench/result"
)

// TestMain is the serving process too, as main is.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == serveArg {
		os.Exit(serve(os.Args[2], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// Every carrier of ours and TCP measures each point, and gives no figure for
// what it has not.
func TestCarriers(t *testing.T) {
	for _, c := range []struct {
		open carrierOpener
		cas  bool
	}{{openRoce, true}, {openRoceSingly, true}, {openRoceMTU1024, true}, {openTCP, false}, {openShm, true}, {openCopy, false}, {openSharedCopy, false}} {
		got, err := c.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range latencies {
			us, err := got.latency(t.Context(), p.kind)
			if want := p.kind != cas || c.cas; err != nil || us > 0 != want {
				t.Errorf("%s over %s: %v us, %v", p.name, got.name(), us, err)
			}
		}
		for _, p := range bandwidths {
			if mbs, err := got.bandwidth(t.Context(), p.kind); err != nil || mbs <= 0 {
				t.Errorf("%s over %s: %v MB/s, %v", p.name, got.name(), mbs, err)
			}
		}
		if err := got.Close(); err != nil {
			t.Errorf("%s: %v", got.name(), err)
		}
	}
}

func TestParseUCX(t *testing.T) {
	const out = "iterations,50.0_percentile_lat,avg_lat,overall_lat,avg_bw,overall_bw,avg_mr,overall_mr\n1000,15.874,1298.646,806.921,0.05,100,770,1239\n"
	f, err := parseUCX([]byte(out))
	if err != nil || f.latency != 15.874 || f.mbs != 104.8576 {
		t.Errorf("%+v, %v", f, err)
	}
	for _, bad := range []string{"", "1,2,3\n", strings.SplitAfter(out, "\n")[0]} {
		if _, err := parseUCX([]byte(bad)); !errors.Is(err, errNoFigures) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestRatiosAreThoseOfTheRounds(t *testing.T) {
	var fig result.Figure
	// Medians would say 2: the rounds say 1/2, 1/2, 20.
	ratios(&fig, "ours", "other", [][]float64{{1, 2, 40}}, [][]float64{{2, 4, 2}}, latencies[:1])
	if len(fig.Notes) != 1 || !strings.HasPrefix(fig.Notes[0], "READ 64 B: ours is 0.5 x other ") {
		t.Error(fig.Notes)
	}
}

// What is bounded is noted: a READ against a put, too, and shared memory against a copy.
func TestNotes(t *testing.T) {
	samples := map[string][][]float64{
		roceName: {{30}, {20}, {18}}, ucxName: {{1000}, {60}, {20}}, shmName: {{3}, {2}, {1}}, copyName: {{2}, {1}, nil},
	}
	var carriers []carrier
	for _, name := range []string{roceName, shmName, copyName, ucxName} {
		carriers = append(carriers, &bare{label: name})
	}
	var fig result.Figure
	note(&fig, carriers, samples, latencies)
	all := strings.Join(fig.Notes, "\n")
	for _, want := range []string{
		"READ 64 B: ours: roce is 0.5 x a put of UCX over TCP ", "READ 64 B: ours: roce is 0.03 x UCX over TCP ", "CMP_AND_SWP: ours: roce is 0.9 x UCX over TCP ",
		"READ 64 B: ours: shm is 1.5 x bare copy ", "WRITE 64 B: ours: shm is 2 x bare copy ", "WRITE 64 B: ours: roce is 10 x ours: shm ",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no note %q in\n%s", want, all)
		}
	}
	if strings.Contains(all, "roce is 1 x") {
		t.Errorf("roce is compared with itself:\n%s", all)
	}
}

// What takes longer than it may is not met, times and rates alike, and a peer that is not
// there judges nothing.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		samples map[string][][]float64
		points  []point
		bounds  []bound
		rates   bool
		want    []string
	}{
		{map[string][][]float64{roceName: {{30}, {20}, {18}}, tcpName: {{27}, {27}, nil}, ucxName: {{1000}, {50}, {20}}}, latencies, latencyBounds, false, []string{
			"READ 64 B: ours: roce beside READ 64 B of Go TCP request and reply: 1.111 x its time, at most 1.150 (the issue's, which wishes for 1): met",
			"READ 64 B: ours: roce beside WRITE 64 B of UCX over TCP: 0.600 x its time, at most 0.500 (the issue's): not met",
			"CMP_AND_SWP: ours: roce beside CMP_AND_SWP of UCX over TCP: 0.900 x its time, at most 0.900 (the issue's): met",
		}},
		{map[string][][]float64{roceName: {{3000}, {1900}}, shmName: {{400}, {600}}, copyName: {{1000}, {1000}}, ucxName: {{20}, {1000}}}, bandwidths, bandwidthBounds, true, []string{
			"READ 64 KiB: ours: roce beside WRITE 64 KiB of UCX over TCP: 0.333 x its time, at most 0.500 (the issue's, which wishes for 0.4): met",
			"WRITE 64 KiB: ours: roce beside WRITE 64 KiB of UCX over TCP: 0.526 x its time, at most 0.500 (the issue's, which wishes for 0.4): not met",
			"READ 64 KiB: ours: shm beside READ 64 KiB of bare copy: 2.500 x its time, at most 2.000 (the issue's): not met",
			"WRITE 64 KiB: ours: shm beside WRITE 64 KiB of bare copy: 1.667 x its time, at most 2.000 (the issue's): met",
			"READ 64 KiB: ours: shm beside READ 64 KiB of bare copy of shared pages: not judged, one was not measured",
			"WRITE 64 KiB: ours: shm beside WRITE 64 KiB of bare copy of shared pages: not judged, one was not measured",
		}},
	} {
		var fig result.Figure
		judge(&fig, c.samples, c.points, c.bounds, c.rates)
		for i, want := range c.want {
			if len(fig.Notes) != len(c.want) || fig.Notes[i] != "bound: "+want {
				t.Errorf("%d notes, number %d is not %q:\n%s", len(fig.Notes), i, want, strings.Join(fig.Notes, "\n"))
			}
		}
	}
}
