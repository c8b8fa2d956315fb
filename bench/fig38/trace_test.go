// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestTraceKnowsSlopeAndStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		read := func(context.Context) (uint64, error) { // 50 a second, but still from 4 s to 6 s
			d := time.Since(start)
			switch {
			case d > 6*time.Second:
				d -= 2 * time.Second
			case d > 4*time.Second:
				d = 4 * time.Second
			}
			return 1000 + uint64(d/(20*time.Millisecond)), nil
		}
		tr, err := record(t.Context(), read, 12*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if len(tr.counts) != 121 || tr.counts[0] != 0 || tr.counts[120] != 500 {
			t.Errorf("%d counts, from %d to %d", len(tr.counts), tr.counts[0], tr.counts[len(tr.counts)-1])
		}
		if s := tr.slope(); s < 41.6 || s > 41.8 {
			t.Errorf("slope %v, want 500/12", s)
		}
		if tr.stall < 1900*time.Millisecond || tr.stall > 2100*time.Millisecond {
			t.Errorf("stall %v, want 2 s", tr.stall)
		}
	})
}
