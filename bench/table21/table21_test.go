// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"lazystate/bench/bedtest"
)

// A few moves of each kind, on the real daemons.
func TestRuns(t *testing.T) {
	fig := bedtest.Measured(t, &program, "--runs=2")
	bedtest.Positive(t, fig, 4*2*4)
}
