// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"

	"lazystate/bench/bedtest"
)

// Both figures' servers, with little to send: who moves, moves once at least.
func TestRuns(t *testing.T) {
	states, periods = []int{1}, []time.Duration{0, 100 * time.Millisecond}
	for _, more := range [][]string{nil, {"--processes=2"}, {"--processes=2", "--mute"}} {
		// It takes 3.2 s at least: a move has that long to take place, after a first one
		// that is refused for a second, where the server has not heard of the client yet.
		fig := bedtest.Measured(t, &program, append(more, "--runs=1", "--rounds=1", "--size=8000000", "--mbit=20")...)
		bedtest.Positive(t, fig, 2+2*2)
		for _, p := range fig.Points {
			if p.Series == "lazy, moves every 100ms" && p.More[1] == "0" {
				t.Errorf("%v: no move", more)
			}
		}
	}
}
