// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"testing"

	"lazystate/bench/auctionload"
	"lazystate/bench/bedtest"
	"lazystate/tools/lab"
)

func TestMain(m *testing.M) {
	auctionload.Main()
	os.Exit(m.Run())
}

// All cases at a tiny size; the tiers themselves are examples/auction's in make test.
func TestRuns(t *testing.T) {
	if !lab.Soak() {
		t.Skip("half a minute: with LAZYSTATE_SOAK=1")
	}
	bedtest.Positive(t, bedtest.Measured(t, &program, "--runs=1", "--window=1s", "--clients=4", "--think=0.01"), 3)
}
