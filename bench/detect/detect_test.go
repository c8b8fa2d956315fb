// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/bench/guest"
	"lazystate/sensorbox"
)

func TestTake(t *testing.T) {
	from := time.Unix(100, 0)
	at := func(ms float64, k sensorbox.Kind) guest.Sign {
		return guest.Sign{Kind: k, At: from.Add(time.Duration(ms * 1e6))}
	}
	var got tally
	for _, said := range [][]guest.Sign{
		{at(10.5, sensorbox.Stalled), at(10.6, sensorbox.Failed)},
		{at(1, sensorbox.Late), at(14, sensorbox.Failed)},
		{at(-30, sensorbox.Suspected)}, // of something else
		{at(-30, sensorbox.Suspected), at(10.9, sensorbox.Stalled)},
		{},
		{at(5, sensorbox.Exceeded)},
	} {
		got.take(said, from, 10*time.Millisecond, time.Millisecond)
	}
	if !slices.Equal(got.excess, []float64{0.5, 4, 0.9}) || got.within != 2 || got.missed != 3 || got.wrong != 2 {
		t.Errorf("%+v", got)
	}
}

// The look-out finds when a value stood still, and says nothing of one that does not.
func TestLookOut(t *testing.T) {
	var last time.Time
	value := uint64(0)
	read := func(context.Context) (uint64, error) {
		if value < 20 {
			value++
			last = time.Now()
		}
		return value, nil
	}
	if stood := lookOut(t.Context(), read, time.Millisecond); stood.Before(last) {
		t.Errorf("stood still at %v, last set at %v", stood, last)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if stood := lookOut(ctx, read, time.Hour); !stood.IsZero() {
		t.Errorf("nothing stood still for an hour, but it says %v", stood)
	}
	gone := func(context.Context) (uint64, error) { return 0, backdoor.ErrGone }
	if stood := lookOut(t.Context(), gone, 0); !stood.IsZero() {
		t.Errorf("a target that is gone stood still at %v", stood)
	}
}
