// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"testing"

	"lazystate/bench/auctionload"
	"lazystate/bench/bedtest"
)

func TestMain(m *testing.M) {
	auctionload.Main()
	os.Exit(m.Run())
}

func TestRuns(t *testing.T) {
	bedtest.Positive(t, bedtest.Measured(t, &program, "--runs=1", "--window=1s", "--clients=4", "--think=0.01"), 3)
}
