// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/inic"
	"lazystate/sensorbox"
)

func newTestSession(t testing.TB, mem backdoor.Memory) *session {
	t.Helper()
	m := New(Options{Period: 10 * time.Millisecond, Sink: func(*backdoor.Target, sensorbox.Event) {}})
	s, err := newSession(context.Background(), m, mem)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// mapped returns the carrier of two files that a fake target was written to.
func mapped(t testing.TB) backdoor.Memory {
	t.Helper()
	dir := t.TempDir()
	ram, bar := make([]byte, 16<<20), make([]byte, 4096)
	addSensors(bdtest.New(bdtest.WithBacking(ram, bar)))
	o := inic.Options{RAMPath: filepath.Join(dir, "ram"), BARPath: filepath.Join(dir, "bar")}
	for path, b := range map[string][]byte{o.RAMPath: ram, o.BARPath: bar} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := inic.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// In steady state a sample allocates nothing, down to the carrier.
func TestSampleAllocatesNothing(t *testing.T) {
	target := bdtest.New(bdtest.ByHand())
	addSensors(target)
	for name, mem := range map[string]backdoor.Memory{"bdtest": target.Memory(), "inic": mapped(t)} {
		s := newTestSession(t, mem)
		s.usersAt, s.checked = now()+time.Hour, now()+time.Hour // not in this test
		ctx := context.Background()
		n := testing.AllocsPerRun(300, func() {
			if o := s.step(ctx); o != sensorbox.Answered {
				t.Fatalf("%s: outcome %v", name, o)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations per sample", name, n)
		}
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
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wake, err := newAlarm(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer wake.close()
	best := time.Hour
	for range 20 {
		at := now() + time.Millisecond
		if err := wake.sleepUntil(at); err != nil {
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
	time.AfterFunc(20*time.Millisecond, cancel)
	began := now()
	if err := wake.sleepUntil(began + time.Hour); err != context.Canceled || now()-began > 5*time.Second {
		t.Errorf("cancelled sleep: %v after %v", err, now()-began)
	}
	if err := wake.sleepUntil(0); err != context.Canceled {
		t.Errorf("sleep after the end: %v", err)
	}
}

// A time that has come is not slept for, and what it left behind does not cut
// the next sleep short.
func TestSleepsDoNotDisturbEachOther(t *testing.T) {
	wake, err := newAlarm(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer wake.close()
	for i := range 200 {
		at := now() + time.Duration(i%7-3)*50*time.Microsecond
		if err := wake.sleepUntil(at); err != nil {
			t.Fatal(err)
		}
		if late := now() - at; late < 0 {
			t.Fatalf("sleep %d ended %v early", i, -late)
		}
	}
	if n := testing.AllocsPerRun(100, func() { _ = wake.sleepUntil(now() + 10*time.Microsecond) }); n != 0 {
		t.Errorf("%v allocations per sleep", n)
	}
}

func BenchmarkSample(b *testing.B) {
	s := newTestSession(b, mapped(b))
	ctx := context.Background()
	for b.Loop() {
		s.step(ctx)
	}
}
