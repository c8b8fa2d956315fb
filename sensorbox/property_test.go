// SPDX-License-Identifier: Apache-2.0

package sensorbox

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// world is a target whose clock sensor moves at random moments, never more
// than L apart, until it dies; and a monitor with a slow, lossy path.
type world struct {
	limit, period time.Duration
	moves         []time.Duration // when the sensor moved
	box           fakeBox
	view          View
	det           *Detector
}

func drawWorld(t *rapid.T, life time.Duration) *world {
	w := &world{limit: time.Duration(rapid.IntRange(20, 200).Draw(t, "L")) * time.Millisecond}
	w.period = w.limit / time.Duration(rapid.IntRange(2, 20).Draw(t, "R"))
	w.box.add("tick", Progress, uint64(w.limit.Microseconds()), Clock)
	w.box.add("ctxt", Progress, uint64(w.limit.Microseconds()), 0)
	for at := time.Duration(0); at < life; {
		w.moves = append(w.moves, at)
		at += time.Duration(rapid.Int64Range(1, int64(w.limit)).Draw(t, "gap"))
	}
	w.det = NewDetector(Config{Period: w.period})
	return w
}

// value is how often the sensor has moved at a moment.
func (w *world) value(at time.Duration) uint64 {
	n := uint64(0)
	for _, m := range w.moves {
		if m <= at {
			n++
		}
	}
	return n
}

// sample reads the box during [start, start+fetch], somewhere in between.
func (w *world) sample(t *rapid.T, in Input, seenAt time.Duration) []Event {
	w.box.sensor("tick").Value = w.value(seenAt)
	if err := w.view.Decode(w.box.encode(boxSize), nil); err != nil {
		t.Fatal(err)
	}
	in.View = &w.view
	return w.det.Step(in, nil)
}

// drawSample returns a sample of slot i: late, slow, lost as may be.
func (w *world) drawSample(t *rapid.T, i int) (in Input, seenAt time.Duration) {
	in = Input{Outcome: Answered, Late: time.Duration(rapid.Int64Range(0, int64(w.period/8)).Draw(t, "jitter"))}
	in.Start = time.Duration(i)*w.period + in.Late
	fetch := rapid.Int64Range(0, int64(w.period/2)).Draw(t, "fetch")
	in.End = in.Start + time.Duration(fetch)
	if rapid.IntRange(0, 9).Draw(t, "loss") == 0 {
		in.Outcome, in.Probe = NoAnswer, ProbeGood
	}
	return in, in.Start + time.Duration(rapid.Int64Range(0, fetch).Draw(t, "when"))
}

// No false declaration while the clock sensor moves, whatever activity does.
func TestNoFalseDeclaration(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		life := 2 * time.Second
		w := drawWorld(t, life)
		for i := 0; time.Duration(i)*w.period < life-w.limit; i++ {
			in, seenAt := w.drawSample(t, i)
			for _, ev := range w.sample(t, in, seenAt) {
				if ev.Kind == Failed {
					t.Fatalf("%v although the clock never rested longer than %v", ev, w.limit)
				}
			}
		}
	})
}

// A dead target is declared within L, one sampling period and one fetch of the
// sample that first saw its last value (each answered sample; a lost one costs
// a period more).
func TestDetectedInTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t, time.Second)
		last, seen, due := uint64(0), time.Duration(0), time.Duration(0)
		for i := 0; ; i++ {
			in, seenAt := w.drawSample(t, i)
			events := w.sample(t, in, seenAt)
			if in.Outcome != Answered {
				continue
			}
			if v := w.value(seenAt); v != last {
				last, seen = v, in.End
				due = seen + w.limit + w.period + w.period/8
			}
			for _, ev := range events {
				if ev.Kind == Failed && in.Start-seen > w.limit {
					return // declared, and with reason
				}
			}
			if in.Start > due {
				t.Fatalf("not declared %v after the last change was seen (L %v, period %v)", in.Start-seen, w.limit, w.period)
			}
		}
	})
}

// A host that stops monitor and target together is nobody's failure.
func TestLateMonitorDoesNotAccuse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t, 0)
		now, ran := time.Duration(0), time.Duration(0) // the wall's clock, the target's
		gap := time.Duration(rapid.Int64Range(1, int64(w.limit-2*w.period/8)).Draw(t, "tick"))
		for range 300 {
			stopped := time.Duration(rapid.Int64Range(0, int64(3*w.limit)).Draw(t, "stopped"))
			if stopped <= w.period/8 {
				stopped = 0
			}
			now += w.period + stopped
			ran += w.period
			w.moves = []time.Duration{}
			w.box.sensor("tick").Value = uint64(ran / gap)
			if err := w.view.Decode(w.box.encode(boxSize), nil); err != nil {
				t.Fatal(err)
			}
			for _, ev := range w.det.Step(Input{Start: now, End: now, Late: stopped, Outcome: Answered, View: &w.view}, nil) {
				if ev.Kind == Failed {
					t.Fatalf("%v: only %v of the %v belong to the target", ev, ran, now)
				}
			}
		}
	})
}
