// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/sensorbox"
)

// direct is a carrier without garbage of its own: the box is copied.
type direct struct{ *bdtest.Memory }

func newTestSession(t testing.TB, period time.Duration) (*session, *bdtest.Target) {
	t.Helper()
	target := bdtest.New(bdtest.ByHand())
	addSensors(target)
	m := New(Options{Period: period, Sink: func(*backdoor.Target, sensorbox.Event) {}})
	s, err := newSession(context.Background(), m, direct{target.Memory()})
	if err != nil {
		t.Fatal(err)
	}
	return s, target
}

// In steady state a sample allocates nothing.
func TestSampleAllocatesNothing(t *testing.T) {
	s, target := newTestSession(t, 10*time.Millisecond)
	s.usersAt, s.checked = now()+time.Hour, now()+time.Hour // not in this test
	ctx := context.Background()
	n := testing.AllocsPerRun(300, func() {
		target.Tick(time.Millisecond)
		if o := s.step(ctx); o != sensorbox.Answered {
			t.Fatalf("outcome %v", o)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations per sample", n)
	}
}

// The grid is absolute: lateness never adds up, missed slots are skipped.
func TestScheduleIsAbsolute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := time.Duration(rapid.Int64Range(1, 1e9).Draw(t, "period"))
		s := schedule{period: p, next: p}
		for range 100 {
			last := s.next
			woke := last + time.Duration(rapid.Int64Range(0, int64(5*p)).Draw(t, "late"))
			s.advance(woke)
			if s.next%p != 0 || s.next <= woke || s.next <= last || s.next > woke+p {
				t.Fatalf("period %v: after %v, woken at %v, comes %v", p, last, woke, s.next)
			}
		}
	})
}

func TestSleepUntilIsPunctual(t *testing.T) {
	ctx := context.Background()
	best := time.Hour
	for range 20 {
		at := now() + time.Millisecond
		if err := sleepUntil(ctx, at); err != nil {
			t.Fatal(err)
		}
		late := now() - at
		if late < 0 {
			t.Fatalf("woken %v early", -late)
		}
		best = min(best, late)
	}
	if best > 5*time.Millisecond {
		t.Errorf("best of 20 wake-ups was %v late", best)
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	began := now()
	if err := sleepUntil(ctx, began+time.Hour); err == nil || now()-began > 5*time.Second {
		t.Errorf("cancelled sleep: %v after %v", err, now()-began)
	}
}

func BenchmarkSample(b *testing.B) {
	s, _ := newTestSession(b, 10*time.Millisecond)
	ctx := context.Background()
	for b.Loop() {
		s.step(ctx)
	}
}
