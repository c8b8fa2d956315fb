// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"testing"

	"lazystate/bench/bedtest"
	"lazystate/tools/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m, 2)) }

// All rows at a tiny size: one session and three, each by all carriers.
func TestRuns(t *testing.T) {
	if !lab.Soak() {
		t.Skip("a minute: with LAZYSTATE_SOAK=1")
	}
	lab.Need(t)
	bedtest.Positive(t, bedtest.Measured(t, &program, "--runs=1", "--kernel=6.12", "--sessions=3"), 18)
}
