// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"testing"
	"time"

	"lazystate/repair/drill"
)

var (
	released = time.Unix(1000, 0)
	ended    = released.Add(3 * time.Minute)
	alone    = drill.Iterations{{Took: 500 * time.Millisecond}, {Took: 500 * time.Millisecond}, {Took: 510 * time.Millisecond}}
)

// phase: until that second each iteration took so long.
type phase struct{ until, took float64 }

func iterations(phases ...phase) (its drill.Iterations) {
	at := 0.0
	for _, p := range phases {
		for ; at+p.took <= p.until; its = append(its, drill.Iteration{
			At: released.Add(time.Duration(at * 1e9)), Took: time.Duration(p.took * 1e9),
		}) {
			at += p.took
		}
	}
	return its
}

func TestHealedMeansWellFromThenOn(t *testing.T) {
	for name, c := range map[string]struct {
		its    drill.Iterations
		healed bool
		after  float64
		slow   float64
	}{
		"never sick":        {iterations(phase{180, 0.5}), true, 0, 1},
		"healed after 12 s": {iterations(phase{12, 4}, phase{180, 0.5}), true, 12, 1},
		"a busy neighbour":  {iterations(phase{12, 4}, phase{90, 0.5}, phase{100, 2}, phase{180, 0.5}), true, 12, 1},
		"at the end too":    {iterations(phase{12, 4}, phase{160, 0.5}, phase{180, 2}), true, 12, 1},
		"sick again":        {iterations(phase{50, 0.5}, phase{180, 5}), false, 0, 10},
		"half as fast":      {iterations(phase{180, 1}), false, 0, 2},
		"lost":              {iterations(phase{1, 0.5}), false, 0, 0},
		"too late to tell":  {iterations(phase{168, 5}, phase{180, 0.5}), false, 0, 1},
		"healed by itself":  {iterations(phase{100, 5}, phase{180, 0.5}), true, 100, 1},
	} {
		var o outcome
		o.judge(alone, c.its, released, ended)
		if o.healed != c.healed || math.Abs(o.after.Seconds()-c.after) > 0.5 {
			t.Errorf("%s: healed %v after %v, want %v after %v s", name, o.healed, o.after, c.healed, c.after)
		}
		if math.Abs(o.slow-c.slow) > 0.3 {
			t.Errorf("%s: the useful program at the end takes %.2f times as long, want %.2f", name, o.slow, c.slow)
		}
	}
}

func TestOthersAreCountedOverAllRuns(t *testing.T) {
	if got := others(nil); got != "0" {
		t.Errorf("nobody: %q", got)
	}
	if got := others([]string{"sh(uid 0)", "useful(uid 1001)", "sh(uid 0)"}); got != "2 sh(uid 0), 1 useful(uid 1001)" {
		t.Errorf("%q", got)
	}
}
