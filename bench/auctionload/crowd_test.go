// SPDX-License-Identifier: Apache-2.0

package auctionload

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lazystate/examples/auction/load"
	"lazystate/tools/control"
)

// Who is kept waiting is told from who was answered before, from who asked later, and
// from whom the other front end serves.
func TestWaits(t *testing.T) {
	crashed := time.Now()
	ms := func(n int) time.Time { return crashed.Add(time.Duration(n) * time.Millisecond) }
	r := &Recovery{Crashed: crashed, Detected: ms(10), Lives: map[string]time.Time{"a": ms(18), "b": ms(20), "c": ms(21)}}
	event := func(from, request string, sent, first int) load.Event {
		return load.Event{From: from, Request: request, Sent: ms(sent), First: ms(first), Done: ms(first)}
	}
	seen := Seen{
		{event("a", "1", -5, 25), event("b", "2", -30, -1), event("b", "3", 12, 220), event("c", "4", 40, 45), {From: "d", Sent: ms(-1), Err: errors.New("a reset")}},
		{event("e", "5", -5, 30), event("e", "6", 50, 52), event("f", "7", -5, 28), event("g", "8", 3, 29), event("h", "9", 11, 31)},
	}
	reissued := map[string]time.Time{"5": ms(17), "8": ms(17), "9": ms(17)}
	const unit = time.Millisecond
	for front, want := range map[bool][]Wait{
		true:  {{Client: "a", Live: 8 * unit, First: 15 * unit}, {Client: "e", Reissued: 7 * unit, First: 20 * unit}, {Client: "g", Reissued: 7 * unit, First: 19 * unit}},
		false: {{Client: "e", Reissued: 7 * unit, First: 20 * unit}, {Client: "g", Reissued: 7 * unit, First: 19 * unit}},
	} {
		all, late := r.Waits(seen, front, reissued)
		if d := cmp.Diff(want, all); d != "" {
			t.Errorf("front end stopped: %v: %s", front, d)
		}
		if (len(late) == 1) != front || front && late[0] != 208*unit {
			t.Errorf("front end stopped: %v: late %v", front, late)
		}
	}
	if n, err := seen.Failed(); n != 1 || err == nil {
		t.Errorf("%d failed: %v", n, err)
	}
}

// Both programs' words are understood: those of a log, and scd's, which count from a
// beginning that is told from the end.
func TestMarks(t *testing.T) {
	log := `time=2026-01-02T03:04:05.000Z level=INFO msg="rescue: ready"
time=2026-01-02T03:04:05.006Z level=INFO msg=rescue step="boxes read" after=1.5ms us=1767323045006500 boxes=3 records=2
time=2026-01-02T03:04:05.009Z level=INFO msg=rescue step=told after=4ms us=1767323045009000 front=10.9.0.2:5002
`
	want := []Mark{{"middle tier: boxes read", time.UnixMicro(1767323045006500)}, {"middle tier: told", time.UnixMicro(1767323045009000)}}
	if d := cmp.Diff(want, rescued(log)); d != "" {
		t.Error(d)
	}
	r, end := &Recovery{Lives: map[string]time.Time{}}, time.UnixMicro(1767323045020000)
	r.salvaged([]control.Salvaged{{Step: "fenced", AfterUs: 100}, {Client: "a", AfterUs: 700}, {Client: "b", Error: "torn"}, {Step: "done", AfterUs: 1000}}, end)
	if d := cmp.Diff([]Mark{{"front end: fenced", end.Add(-900 * time.Microsecond)}, {"front end: done", end}}, r.Marks); d != "" {
		t.Error(d)
	}
	if at := r.Lives["a"]; !at.Equal(end.Add(-300*time.Microsecond)) || len(r.Lives) != 1 || len(r.Lost) != 1 {
		t.Errorf("%v, %v", r.Lives, r.Lost)
	}
}
