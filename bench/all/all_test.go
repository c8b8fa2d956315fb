// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"slices"
	"testing"
)

// A bench that exists but is not in the list would never run in `make bench`.
func TestEveryBenchIsRun(t *testing.T) {
	dirs, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	support := []string{"all", "apps", "guest", "plot", "result", "results", "trial", "useful"}
	for _, d := range dirs {
		if d.IsDir() && !slices.Contains(support, d.Name()) && !slices.Contains(benches, d.Name()) {
			t.Errorf("bench/%s is not in the list", d.Name())
		}
	}
	for _, b := range benches {
		if _, err := os.Stat("../" + b); err != nil {
			t.Errorf("bench %s: %v", b, err)
		}
	}
}

func TestWrongUseExits2(t *testing.T) {
	for _, args := range [][]string{{"--only", "fig99"}, {"--fast"}, {"fetch"}} {
		if code := run(t.Context(), args, nil, io.Discard, io.Discard); code != 2 {
			t.Errorf("%v: exit %d", args, code)
		}
	}
}
