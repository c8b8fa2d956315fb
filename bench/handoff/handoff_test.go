// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"testing"

	"lazystate/bench/bedtest"
)

func TestMain(m *testing.M) {
	sinking()
	os.Exit(m.Run())
}

func TestRuns(t *testing.T) {
	bedtest.Positive(t, bedtest.Measured(t, &program, "--runs=2", "--batch=5", "--batches=1"), len(names))
}
