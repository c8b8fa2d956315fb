// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"lazystate/repair"
	"lazystate/repair/drill"
	"lazystate/sensorbox"
	"lazystate/tools/bdmon/daemon"
	"lazystate/tools/control"
	"lazystate/tools/lab"
)

func TestUsage(t *testing.T) {
	for _, args := range []string{"", "nonsense", "--kernel 5.10 memhog", "--bogus", "--carrier pigeon memhog", "--carrier rdma hang"} {
		var out, errs strings.Builder
		if code := run(t.Context(), append([]string{"bddrill"}, strings.Fields(args)...), nil, &out, &errs); code != 2 {
			t.Errorf("%q: exit %d: %s", args, code, errs.String())
		}
	}
}

func TestTable(t *testing.T) {
	rows := []drillRun{
		{Drill: "memhog", Kernel: "6.1.0-56-amd64", Repair: true, Expect: "healed", OK: true, Detected: 3 * time.Millisecond, Bound: true, Diagnosed: 2 * time.Second, Killed: 31, Healed: 5469 * time.Millisecond, Bystanders: 5,
			Before: 2 * time.Second, After: 2100 * time.Millisecond, RawBefore: 3 * time.Second, RawAfter: 4 * time.Second},
		{Drill: "memhog", Kernel: "6.1.0-56-amd64", Expect: "lost", OK: true, Lost: "no iteration for 1m0s"},
		{Drill: "deep", Repair: true, Why: "not healed\nkernel log", Harmed: []string{"7 x"}, Bystanders: 5},
	}
	var b bytes.Buffer
	if err := printTable(&b, rows, false); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	for i, want := range [][]string{
		{"detected", "diagnosed", "killed", "healed", "before", "during", "after", "after/before (raw)", "bystanders"},
		{"memhog", "6.1.0-56 ", "<3ms", "2s", "31", "5.469s", " 1.05 (1.33) ", "5 of 5 untouched", "healed"},
		{"no", "LOST: no iteration for 1m0s"},
		{"4 of 5 untouched", "FAILED: not healed"},
	} {
		for _, w := range want {
			if i >= len(lines) || !strings.Contains(lines[i], w) {
				t.Fatalf("line %d lacks %q:\n%s", i, w, b.String())
			}
		}
	}
	b.Reset()
	if err := printTable(&b, rows, true); err != nil {
		t.Fatal(err)
	}
	var again []drillRun
	if err := json.Unmarshal(b.Bytes(), &again); err != nil || len(again) != 3 || again[0].Healed != rows[0].Healed {
		t.Errorf("%v: %s", err, b.String())
	}
}

// What was run for an hour is shown, whatever ends the rest.
func TestTableAfterInterrupt(t *testing.T) {
	rows := []drillRun{{Drill: "memhog", Repair: true, Expect: "healed", OK: true}, {Drill: "deep", Why: "context canceled"}}
	r := &runner{}
	var b bytes.Buffer
	if err := r.told(&b, rows, false, context.Canceled); err != context.Canceled || !strings.Contains(b.String(), "memhog") {
		t.Errorf("%v:\n%s", err, &b)
	}
	if err := r.told(&b, rows, false, nil); err == nil || !strings.Contains(err.Error(), "deep") {
		t.Errorf("a drill that went wrong: %v", err)
	}
}

// Each sign of a hang has a deadline: its own L, or that of the clocks for a panic.
func TestSignsHaveDeadlines(t *testing.T) {
	died := time.Now()
	for name, c := range map[string]struct {
		seen control.Event
		died time.Time
		late bool
	}{
		"a stall in time":  {control.Event{Kind: "stalled", Limit: 400_000, StallUs: 430_000}, time.Time{}, false},
		"a stall, late":    {control.Event{Kind: "stalled", Limit: 400_000, StallUs: 900_000}, time.Time{}, true},
		"a suspicion":      {control.Event{Kind: "suspected"}, time.Time{}, false},
		"a panic in time":  {control.Event{Kind: "panicked", Time: died.Add(30 * time.Millisecond)}, died, false},
		"before we saw it": {control.Event{Kind: "panicked", Time: died.Add(-time.Millisecond)}, died, false},
		"a panic, late":    {control.Event{Kind: "panicked", Time: died.Add(2 * time.Second)}, died, true},
	} {
		l := shortest(map[string]sensorbox.Sensor{
			"TICKS.0": {Limit: 500_000, Flags: sensorbox.Clock}, "TICKS.1": {Limit: 400_000, Flags: sensorbox.Clock}, "NPROCS": {Limit: 300}, "heart": {Flags: sensorbox.Clock},
		})
		if l != 400*time.Millisecond {
			t.Fatalf("the clocks' L is %v", l)
		}
		if err := tooLate(c.seen, c.died, l); (err != nil) != c.late {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Detection counts from the release, and from the crossing that was seen first.
func TestDetectionIsOfTheDrill(t *testing.T) {
	nothing, err := daemon.NewLedger(os.DevNull, "t")
	if err != nil {
		t.Fatal(err)
	}
	w := &watch{drill: drillNamed(t, "forkbomb-cpu"), ledger: nothing, daemon: &daemon.Daemon{}}
	announce := func(sensor string) {
		t.Helper()
		raw, err := json.Marshal(control.NewEvent("t", sensorbox.Event{Kind: sensorbox.Exceeded, Sensor: sensor}))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.announced(raw); err != nil {
			t.Fatal(err)
		}
	}
	announce(repair.SensorNProcs)
	if s := w.state(); !s.detected.IsZero() || s.detectedAfter() != 0 {
		t.Error("an event before the release counts")
	}
	w.release()
	announce("FILES_OPEN")
	if s := w.state(); !s.detected.IsZero() {
		t.Error("another sensor counts")
	}
	w.crossed = time.Now().Add(-time.Second)
	announce(repair.SensorNProcs)
	if s := w.state(); s.detectedAfter() < time.Second || s.detectedAfter() > time.Since(w.crossed) {
		t.Errorf("detected after %v", s.detectedAfter())
	}
	// The look-out saw it later than the monitor: the crossing lies after its look before.
	w.below, w.crossed = w.detected.Add(-3*time.Millisecond), w.detected.Add(time.Millisecond)
	if s := w.state(); !s.bound || s.detectedAfter() != 3*time.Millisecond || at(s.detectedAfter(), s.bound) != "<3ms" {
		t.Errorf("%v %v", s.detectedAfter(), s.bound)
	}
	moved := w.looked(time.Now(), false)
	if s := w.state(); moved || s.detectedAfter() != 3*time.Millisecond {
		t.Error("a look after the detection moves the bound")
	}
}

// A bystander that was killed and is not waited for yet is gone; a kernel thread is
// none, nor is who was dead before.
func TestBystanders(t *testing.T) {
	d := &drill.Drill{Rogues: []drill.Program{{UID: 100}}, Victims: []drill.Program{{UID: 200}}}
	before := []lab.Process{
		{PID: 1, State: "S", Comm: "init"}, {PID: 2, State: "S", Comm: "kthreadd"}, {PID: 3, PPID: 2, State: "I", Comm: "kworker"},
		{PID: 10, PPID: 1, State: "S", Comm: "sshd"}, {PID: 11, PPID: 1, UID: 26, State: "S", Comm: "postgres"}, {PID: 12, PPID: 1, State: "Z", Comm: "late"},
		{PID: 20, PPID: 1, UID: 100, State: "R", Comm: "bomb"}, {PID: 30, PPID: 1, UID: 200, State: "S", Comm: "hog"},
	}
	for name, c := range map[string]struct {
		after  []lab.Process
		harmed []string
		left   int
	}{
		"all well": {[]lab.Process{before[0], before[1], before[3], before[4], {PID: 20, UID: 100, State: "Z"}}, nil, 0},
		"a zombie": {[]lab.Process{before[0], before[3], {PID: 11, UID: 26, State: "Z"}}, []string{"11 postgres (uid 26)"}, 0},
		"a gone":   {[]lab.Process{before[0], before[4]}, []string{"10 sshd (uid 0)"}, 0},
		"another":  {[]lab.Process{before[0], before[3], {PID: 11, UID: 26, State: "S", Comm: "cron"}}, []string{"11 postgres (uid 26)"}, 0},
		"rogues":   {append([]lab.Process{{PID: 21, UID: 100, State: "R"}}, before...), nil, 2},
	} {
		var r drillRun
		left := r.count(d, before, c.after)
		if left != c.left || r.Bystanders != 3 || !slices.Equal(r.Harmed, c.harmed) {
			t.Errorf("%s: %d rogues, harmed %q of %d", name, left, r.Harmed, r.Bystanders)
		}
	}
}

// What a machine does at its own pace is waited for at its pace, not for ever.
func TestPatience(t *testing.T) {
	for pace, want := range map[time.Duration]time.Duration{
		0: healWithin, 1300 * time.Millisecond: healWithin, 5 * time.Second: 5 * time.Minute, 31 * time.Second: 15 * time.Minute,
	} {
		if got := (&machine{pace: pace}).patience(); got != want {
			t.Errorf("an iteration takes %v: %v, want %v", pace, got, want)
		}
	}
}

// Two users' bombs need not cross the limits in the same moment.
func TestSecondUserIsRepairedLater(t *testing.T) {
	rogues := drillNamed(t, "two-users").Rogues
	first := daemon.Incident{Users: []uint32{drill.RogueUID}, Rounds: 1, Reads: 100, Diagnosed: time.Unix(2, 0), Repaired: time.Unix(3, 0)}
	then := daemon.Incident{Users: []uint32{drill.SecondUID}, Rounds: 2, Reads: 50, Diagnosed: time.Unix(5, 0), Repaired: time.Unix(6, 0)}
	if accusedAll(rogues, joined(daemon.Incident{}, first).Users) {
		t.Error("one of two users is all of them")
	}
	both := joined(first, then)
	if !accusedAll(rogues, both.Users) || both.Rounds != 3 || both.Reads != 150 || !both.Diagnosed.Equal(first.Diagnosed) || !both.Repaired.Equal(then.Repaired) {
		t.Errorf("%+v", both)
	}
}
