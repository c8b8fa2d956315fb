// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

// tally of one deadline over all runs.
type tally struct {
	fractions []float64 // of false positives, one a run
	samples   int
	late      int
}

// sample runs every deadline's monitor for window and adds to its tally.
func sample(ctx context.Context, read func(context.Context) (uint64, error), window time.Duration, all []tally) error {
	errs := make([]error, len(all))
	var monitors sync.WaitGroup
	for i, deadline := range deadlines() {
		monitors.Go(func() { errs[i] = monitor(ctx, read, deadline, window, &all[i]) })
	}
	monitors.Wait()
	return errors.Join(errs...)
}

// monitor samples with a period equal to its deadline.
func monitor(ctx context.Context, read func(context.Context) (uint64, error), deadline, window time.Duration, t *tally) error {
	tick := time.NewTicker(deadline)
	defer tick.Stop()
	end := time.Now().Add(window)
	last, err := read(ctx)
	if err != nil {
		return err
	}
	at, good, stalled := time.Now(), 0, 0
	for at.Before(end) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		now := time.Now()
		v, err := read(ctx)
		if err != nil {
			return err
		}
		t.samples++
		if now.Sub(at) > deadline+deadline/10 {
			t.late++
		} else {
			good++
			if v == last {
				stalled++
			}
		}
		last, at = v, now
	}
	if good > 0 {
		t.fractions = append(t.fractions, float64(stalled)/float64(good))
	}
	return nil
}
