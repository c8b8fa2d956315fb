// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"lazystate/backdoor"
	"lazystate/repair"
)

func TestCountAddsDiagnosisAndRounds(t *testing.T) {
	plan := &repair.Plan{Reads: backdoor.Stats{Reads: 400, Batches: 12}}
	out := &repair.Outcome{Rounds: []repair.Round{{Reads: 410, Batches: 15}, {Reads: 30, Batches: 9}}}
	var r repaired
	if err := count(&r, backdoor.Stats{Reads: 2000, Batches: 300}, plan, out); err != nil {
		t.Fatal(err)
	}
	if r.reads != 840 || r.batches != 36 {
		t.Errorf("%d reads in %d batches, want 840 in 36", r.reads, r.batches)
	}
	if err := count(&r, backdoor.Stats{Reads: 839, Batches: 300}, plan, out); err == nil {
		t.Error("more operations were told than the target saw")
	}
}
