// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"testing"

	"lazystate/bench/bedtest"
	"lazystate/bench/webload"
)

func TestMain(m *testing.M) {
	webload.Main()
	os.Exit(m.Run())
}

func TestRuns(t *testing.T) {
	rates = []float64{50}
	bedtest.Positive(t, bedtest.Measured(t, &program, "--runs=1", "--window=1s"), 2)
}
