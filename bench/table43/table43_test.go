// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"lazystate/bench/bedtest"
	"lazystate/dsm"
	"lazystate/internal/memtemp"
	"lazystate/tools/dsmd/status"
)

// Each figure is made, at sizes that say nothing, and has all of its points. Its runs
// take a fraction of a second, which a disk can take to write one checkpoint.
func TestFigures(t *testing.T) {
	memtemp.Use(t)
	for figure, points := range map[string]int{"tables": len(apps) * len(policies), "4.7": len(apps) * len(policies) * (len(components) + 1)} {
		fig := bedtest.Made(t, &program, "--runs=1", "--tiny", "--nodes=2", "--figure="+figure)
		ours := 0
		for _, p := range fig.Points {
			if !p.IsPaper() {
				ours++
			}
		}
		if ours != points {
			t.Errorf("%s: %d points, not %d", figure, ours, points)
		}
	}
	logs := map[string]int{} // checkpoints of one node
	for _, p := range bedtest.Made(t, &program, "--runs=1", "--tiny", "--nodes=2", "--figure=4.8").Points {
		logs[p.Series]++
	}
	for _, a := range apps {
		if n := logs[a.name]; n == 0 || n != logs[a.name+", without LLT"] {
			t.Errorf("4.8, %s: %v", a.name, logs)
		}
	}
}

// A long run is as long as it has to be, and says what of it keeps to its bounds.
func TestLongRun(t *testing.T) {
	memtemp.Use(t)
	fig := bedtest.Made(t, &program, "--runs=1", "--tiny", "--nodes=2", "--figure=long")
	want := len(apps) * len(policies[overflow:])
	bounds := 0
	for _, n := range fig.Notes {
		if strings.HasPrefix(n, "bound: ") {
			bounds++
		}
	}
	for _, p := range fig.Points {
		if p.IsPaper() {
			continue
		}
		want--
		least, _, _ := strings.Cut(p.More[0], "-")
		if n, err := strconv.Atoi(least); err != nil || n < enough {
			t.Errorf("%s took %s checkpoints", p.Series, p.More[0])
		}
	}
	if want != 0 || bounds != len(apps)*len(policies[overflow:])*len(kept) {
		t.Errorf("%d points are missing; %d bounds", want, bounds)
	}
}

// The log of a run that keeps all grows; halves are compared, not its ends.
func TestGrowth(t *testing.T) {
	line := func(node string, number, logs int) string {
		return fmt.Sprintf(`msg="has a checkpoint" node=%s incarnation=1 number=%d private=0 logs=%d of=9 took=5ms`, node, number, logs)
	}
	m := measurement{nodes: make([]status.Report, 2), log: []string{
		line("P0", 1, 100), line("P0", 2, 50), line("P1", 1, 10), line("P1", 2, 40), line("P0", 3, 90), line("P0", 4, 110), line("P1", 3, 60), line("P1", 4, 20),
	}}
	if got := growth(m); got != 1.5 {
		t.Errorf("%v", got)
	}
}

// A node's checkpoints are read out of the log.
func TestRead(t *testing.T) {
	got := read([]string{
		`time=x level=DEBUG msg="has a checkpoint" node=P1 incarnation=1 number=2 private=0 logs=100 of=300 took=5ms`,
		`time=x level=DEBUG msg="has a checkpoint" node=P0 incarnation=1 number=2 private=0 logs=7 of=8 took=5ms`,
		`time=x level=INFO msg=lives node=P1 incarnation=2 operation=3`,
	}, dsm.NodeID(1))
	if len(got) != 1 || got[0] != (sample{2, 100, 300}) {
		t.Errorf("%+v", got)
	}
}
