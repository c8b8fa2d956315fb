// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"testing"
	"time"

	"lazystate/bench/bedtest"
	"lazystate/bench/webload"
)

func TestMain(m *testing.M) {
	webload.Main()
	os.Exit(m.Run())
}

// A little overload, and clients in a hurry.
func TestRuns(t *testing.T) {
	loads, moveAt, deadline = []float64{2}, 300*time.Millisecond, 5*time.Second
	for _, args := range [][]string{{"--window=2s", "--mbit=4"}, {"--sizes", "--window=2s", "--mbit=4"}} {
		fig := bedtest.Measured(t, &program, args...)
		for _, p := range fig.Points {
			if p.Series == names[true] && p.More[0] == "0" {
				t.Error("no session has moved")
			}
		}
	}
}
