// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"testing"

	"lazystate/bench/bedtest"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == serveArg {
		os.Exit(serve(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

func TestRuns(t *testing.T) {
	bedtest.Positive(t, bedtest.Measured(t, &program, "--runs=1", "--window=200ms"), 2*len(ways))
}
