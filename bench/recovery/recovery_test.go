// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"lazystate/bench/bedtest"
)

func TestRuns(t *testing.T) {
	fig := bedtest.Made(t, &bench, "--runs=1", "--nodes=2", "--size=64", "--iterations=60", "--every=50ms", "--criu=there-is-none")
	seen := map[float64]float64{}
	for _, p := range fig.Points {
		seen[p.X] = p.Y
	}
	for _, what := range []int{recovery, lost, anew} {
		if seen[float64(what+1)] <= 0 {
			t.Errorf("%s: %v", names[what], seen[float64(what+1)])
		}
	}
	if len(seen) != stands {
		t.Errorf("%d points", len(seen))
	}
}

// A CRIU that this kernel is too new for is no reason to measure nothing.
func TestCRIUDoesNotRun(t *testing.T) {
	settings.criu = filepath.Join(t.TempDir(), "criu")
	script := "#!/bin/sh\n[ $1 = --version ] && echo Version: 9 && exit\necho no vDSO; exit 1\n"
	if err := os.WriteFile(settings.criu, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	said, err := (&rig{}).coordinated(t.Context())
	if err != nil || said != "Version: 9 does not run on this kernel: not measured: no vDSO" {
		t.Errorf("%q, %v", said, err)
	}
}

// What a node was like is read out of the log.
func TestLine(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := told{checkpoint: map[string]time.Time{}, began: begin}
	for _, l := range []string{
		`time=2026-01-01T00:00:01.500Z level=DEBUG msg="has a checkpoint" node=P1 incarnation=1 number=1`,
		`time=2026-01-01T00:00:01.700Z level=DEBUG msg="has a checkpoint" node=P2 incarnation=1 number=1`,
		`time=2026-01-01T00:00:02.000Z level=WARN msg="is killed, as was asked for" node=P1 incarnation=1 operation=9`,
		`time=2026-01-01T00:00:02.100Z level=INFO msg=lives node=P2 incarnation=1`,
		`time=2026-01-01T00:00:02.250Z level=INFO msg=lives node=P1 incarnation=2`,
		`time=2026-01-01T00:00:03.000Z level=DEBUG msg="has a checkpoint" node=P1 incarnation=2 number=2`,
		`panic: no`,
	} {
		r.line(l)
	}
	if r.killed.Sub(begin) != 2*time.Second || r.killed.Sub(r.saved) != 500*time.Millisecond || r.live.Sub(r.killed) != 250*time.Millisecond {
		t.Errorf("%+v", r)
	}
	if (&told{}).complete() == nil {
		t.Error("nothing is complete")
	}
}
