// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"lazystate/internal/pause"
)

// trace is a counter over time, one count each period, from 0.
type trace struct {
	counts []uint64
	stall  time.Duration // longest time between two changes, by the samples
	took   time.Duration
	all    uint64 // interrupts of every kind in that time
}

// slope is the mean rate, per second.
func (t trace) slope() float64 {
	if len(t.counts) == 0 || t.took <= 0 {
		return 0
	}
	return float64(t.counts[len(t.counts)-1]) / t.took.Seconds()
}

// record samples until window has passed. A late tick of the monitor would
// shift the trace, so each sample waits for its own time from the start.
func record(ctx context.Context, read func(context.Context) (uint64, error), window time.Duration) (trace, error) {
	first, err := read(ctx)
	if err != nil {
		return trace{}, err
	}
	t := trace{counts: []uint64{0}}
	start := time.Now()
	changed := start
	for i := 1; time.Duration(i)*period <= window; i++ {
		if err := pause.For(ctx, time.Until(start.Add(time.Duration(i)*period))); err != nil {
			return t, err
		}
		v, err := read(ctx)
		if err != nil {
			return t, err
		}
		now := time.Now()
		if v-first != t.counts[len(t.counts)-1] {
			changed = now
		}
		t.stall = max(t.stall, now.Sub(changed))
		t.counts = append(t.counts, v-first)
		t.took = now.Sub(start)
	}
	return t, nil
}
