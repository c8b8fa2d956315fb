// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"lazystate/bench/bedtest"
)

func TestRuns(t *testing.T) {
	fig := bedtest.Made(t, &bench, "--runs=1", "--size=64", "--iterations=5")
	bedtest.Positive(t, fig, len(ways))
}
