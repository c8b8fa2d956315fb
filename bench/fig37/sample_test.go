// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// A counter that moves every 35 ms: a monitor of 10 ms sees no change at most
// samples, one of 40 ms at none.
func TestFalsePositivesFallWithTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		read := func(context.Context) (uint64, error) { return uint64(time.Since(start) / (35 * time.Millisecond)), nil }
		all := make([]tally, len(deadlines()))
		if err := sample(t.Context(), read, 70*time.Second, all); err != nil {
			t.Fatal(err)
		}
		for i, d := range deadlines() {
			want := max(0, 1-float64(d)/float64(35*time.Millisecond))
			if len(all[i].fractions) != 1 || math.Abs(all[i].fractions[0]-want) > 0.01 {
				t.Errorf("%v: %v, want %.3f", d, all[i].fractions, want)
			}
			if all[i].late > 0 || all[i].samples < int(69*time.Second/d) {
				t.Errorf("%v: %d samples, %d late", d, all[i].samples, all[i].late)
			}
		}
	})
}

func TestLateSamplesAreNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := 0
		read := func(context.Context) (uint64, error) { // every third read takes too long
			if slow++; slow%3 == 0 {
				time.Sleep(12 * time.Millisecond)
			}
			return 1, nil
		}
		var c tally
		if err := monitor(t.Context(), read, 10*time.Millisecond, 10*time.Second, &c); err != nil {
			t.Fatal(err)
		}
		if c.late == 0 || c.late == c.samples || c.fractions[0] != 1 {
			t.Errorf("%+v", c)
		}
	})
}
