// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"lazystate/bench/bedtest"
	"lazystate/dsm"
	"lazystate/internal/memtemp"
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
