// SPDX-License-Identifier: Apache-2.0

package sensorbox

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// watch feeds a detector with the values of one sensor, a sample each 10 ms,
// and returns the kinds of the sensor's events with the index of their sample.
func watch(t *testing.T, class Class, limit uint64, flags Flags, values ...uint64) map[int]Kind {
	t.Helper()
	var box fakeBox
	r := box.add("sensor", class, limit, flags)
	det := NewDetector(Config{Period: 10 * time.Millisecond})
	var view View
	got := map[int]Kind{}
	for i, v := range values {
		r.Value = v
		if err := view.Decode(box.encode(boxSize), nil); err != nil {
			t.Fatal(err)
		}
		now := time.Duration(i) * 10 * time.Millisecond
		for _, ev := range det.Step(Input{Start: now, End: now, Outcome: Answered, View: &view}, nil) {
			if ev.Sensor != "" {
				got[i] = ev.Kind
			}
		}
	}
	return got
}

// Table 3.1, row by row: class, threshold L, trigger condition.
func TestTable31(t *testing.T) {
	for _, c := range []struct {
		row    string
		class  Class
		limit  uint64
		flags  Flags
		values []uint64
		want   map[int]Kind
	}{
		{"Progress | Update deadline | V did not change within L time units", Progress, 20_000, 0,
			[]uint64{1, 2, 2, 2, 2, 3}, map[int]Kind{4: Stalled, 5: Cleared}},
		{"Level | Max value of a resource | V > L", Level, 10, 0,
			[]uint64{9, 10, 11, 12, 10}, map[int]Kind{2: Exceeded, 4: Cleared}},
		{"Level | (min) value of a resource | (V < L)", Level, 10, Minimum,
			[]uint64{11, 10, 9, 8, 10}, map[int]Kind{2: Exceeded, 4: Cleared}},
		{"Pressure | Max number of events | V > L", Pressure, 2, 0,
			[]uint64{0, 1, 2, 3, 4}, map[int]Kind{3: Pressed}},
	} {
		if d := cmp.Diff(c.want, watch(t, c.class, c.limit, c.flags, c.values...)); d != "" {
			t.Errorf("%s (want -, got +):\n%s", c.row, d)
		}
	}
}

// §3.9.3: activity-driven counters "should be backed by more general
// watchdog-style counters (e.g., real-time clocks) in deciding that a node has
// failed".
func TestActivityIsBackedByAClock(t *testing.T) {
	for _, c := range []struct {
		clockRuns bool
		want      Kind
	}{{true, Suspected}, {false, Failed}} {
		var box fakeBox
		box.add("intr", Progress, 20_000, 0)
		box.add("tick", Progress, 20_000, Clock)
		det := NewDetector(Config{Period: 10 * time.Millisecond})
		var view View
		for i := range 10 {
			if c.clockRuns {
				box.sensor("tick").Value++
			}
			if err := view.Decode(box.encode(boxSize), nil); err != nil {
				t.Fatal(err)
			}
			now := time.Duration(i) * 10 * time.Millisecond
			det.Step(Input{Start: now, End: now, Outcome: Answered, View: &view}, nil)
		}
		if got := det.Verdict(); got != c.want {
			t.Errorf("clock runs: %v: verdict %v, want %v", c.clockRuns, got, c.want)
		}
	}
}
