// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"lazystate/bench/result"
)

// What is over a bound is said to be, of batches and of time, each by itself.
func TestBounds(t *testing.T) {
	sessions = 100
	for _, c := range []struct {
		us      []float64
		batches uint64
		want    [2]string // of batches, and of time
	}{
		{[]float64{199, 200, 900}, 10, [2]string{"met", "met"}},
		{[]float64{1, 2, 3}, 11, [2]string{"not met", "met"}},
		{[]float64{1, 201, 202}, 10, [2]string{"met", "not met"}},
	} {
		fig := &result.Figure{}
		bounds(fig, 5, c.us, c.batches)
		if len(fig.Notes) != len(c.want) {
			t.Fatalf("%q", fig.Notes)
		}
		for i, want := range c.want {
			if !strings.HasSuffix(fig.Notes[i], ": "+want) || !strings.Contains(fig.Notes[i], "100 sessions of 5 KB") {
				t.Errorf("%v us, %d batches: %q, want %s", c.us, c.batches, fig.Notes[i], want)
			}
		}
	}
}
