// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"lazystate/bench/bedtest"
)

func TestRuns(t *testing.T) {
	bedtest.Positive(t, bedtest.Measured(t, &program, "--runs=3"), 3*7)
}
