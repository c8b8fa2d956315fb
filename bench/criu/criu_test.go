// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os/exec"
	"testing"

	"lazystate/bench/bedtest"
)

func TestRuns(t *testing.T) {
	if out, err := exec.Command("criu", "check").CombinedOutput(); err != nil {
		t.Skipf("no CRIU that runs on this kernel: %v: %s", err, out) // a peer, nothing of ours: required nowhere
	}
	bedtest.Positive(t, bedtest.Measured(t, &program, "--runs=1"), len(names))
}
