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

// The clients wait as long as a busy machine takes.
func TestRuns(t *testing.T) {
	rates, deadline = []float64{50}, time.Minute
	bedtest.Positive(t, bedtest.Measured(t, &program, "--runs=1", "--window=1s"), 2)
}
