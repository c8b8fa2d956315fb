// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"testing"

	"lazystate/bench/bedtest"
	"lazystate/tools/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m, 2)) }

// All conditions, once: boxes lie where they should, and every call costs something.
func TestRuns(t *testing.T) {
	if !lab.Soak() {
		t.Skip("a minute: with LAZYSTATE_SOAK=1")
	}
	lab.Need(t)
	bedtest.Positive(t, bedtest.Made(t, &program, "--runs=1", "--kernel=6.12"), len(conditions)*len(rows()))
}
