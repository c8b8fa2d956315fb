// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lazystate/bench/guest"
	"lazystate/internal/pause"
	"lazystate/sensorbox"
)

// accusing are the events that announce a hang.
var accusing = []sensorbox.Kind{sensorbox.Stalled, sensorbox.Failed, sensorbox.Suspected}

const lookEach = 100 * time.Microsecond

// hang lets the target hang once and notes when that was announced.
func (c *condition) hang(ctx context.Context, w *guest.Wired, v *guest.Watch, g *guest.Gauge, bound time.Duration, t *tally) error {
	if err := well(ctx, v); err != nil {
		return err
	}
	quiet := time.Now()
	if err := pause.For(ctx, c.settle); err != nil {
		return err
	}
	looking, stop := context.WithCancel(ctx)
	defer stop()
	stood := make(chan time.Time, 1)
	struck := time.Now()
	go func() { stood <- lookOut(looking, g.Read, c.deadline*9/10) }()
	if err := stopFor(ctx, w, c.length); err != nil {
		return fmt.Errorf("hang: %w", err)
	}
	stop()
	t.wrong += len(v.Said(quiet, struck))
	from := <-stood
	if from.IsZero() {
		return errors.New("the target did not stand still")
	}
	t.take(v.Said(struck, time.Now()), from, c.deadline, bound)
	return nil
}

// stopFor stops the vCPUs for a while; they go on even if ctx ends.
func stopFor(ctx context.Context, w *guest.Wired, length time.Duration) error {
	err := w.VM.Stop(ctx)
	if err == nil {
		err = pause.For(ctx, length)
	}
	return errors.Join(err, w.VM.Cont(context.WithoutCancel(ctx)))
}

// wellWithin bounds the wait for a carrier that has to connect again.
const wellWithin = time.Minute

// well waits until the monitor finds the target well.
func well(ctx context.Context, v *guest.Watch) error {
	for end := time.Now().Add(wellWithin); ; {
		st := v.Monitor.Status()
		if st.Up && st.Verdict == 0 {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("not well again by %s: %v %s", v.Carrier, st.Verdict, st.Error)
		}
		if err := pause.For(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// take notes the first announcement of a hang that began at a moment. What accused
// before that moment was false.
func (t *tally) take(said []guest.Sign, from time.Time, deadline, bound time.Duration) {
	for _, s := range said {
		if !slices.Contains(accusing, s.Kind) {
			continue
		}
		if s.At.Before(from) {
			t.wrong++
			continue
		}
		excess := s.At.Sub(from) - deadline
		t.excess = append(t.excess, float64(excess)/1e6)
		if excess <= bound {
			t.within++
		}
		return
	}
	t.missed++
}

// lookOut returns when the value last changed before it stood still for so long;
// zero if it did not until ctx ended.
func lookOut(ctx context.Context, read func(context.Context) (uint64, error), still time.Duration) time.Time {
	last, changed := uint64(0), time.Now()
	for ctx.Err() == nil {
		v, err := read(ctx)
		now := time.Now()
		switch {
		case err != nil:
			return time.Time{}
		case v != last:
			last, changed = v, now
		case now.Sub(changed) > still:
			return changed
		}
		time.Sleep(lookEach)
	}
	return time.Time{}
}
