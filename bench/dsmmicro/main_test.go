// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"testing"

	"lazystate/bench/bedtest"
	"lazystate/dsm/client"
	"lazystate/dsm/pager"
	"lazystate/tools/lab"
)

// The program that is measured is this test's binary.
func TestMain(m *testing.M) {
	if os.Getenv(client.SocketVariable) == "" {
		os.Exit(m.Run())
	}
	if err := client.Main(exercise); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func TestRuns(t *testing.T) {
	best, err := pager.Probe(-1)
	if err != nil {
		lab.Skip(t, err.Error())
	}
	ours := 1
	if best == pager.Async {
		ours = len(ways)
	}
	bedtest.Positive(t, bedtest.Made(t, &program, "--runs=1"), ours*len(operations))
}
