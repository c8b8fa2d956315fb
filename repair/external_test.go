// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"lazystate/repair/policy"
	"lazystate/sensorbox"
)

// program is a healer written in shell.
func program(script string) *External {
	return &External{
		Label: "test", Argv: []string{"/bin/sh", "-c", script}, Timeout: 2 * time.Second, Spare: policy.Spare{UIDs: []uint32{database}},
		Confirm: Confirm{Window: 20 * time.Millisecond, Every: 2 * time.Millisecond},
		Reaper:  Reaper{Settle: 200 * time.Millisecond, Within: 20 * time.Second, Every: 10 * time.Millisecond},
	}
}

func TestExternalAccusesUser(t *testing.T) {
	m := newSick(t)
	m.bomb(60)
	r := m.treat(program(`grep -q '"sensor":"NPROCS"' && echo '{"uid":65534,"why":"sixty of them"}'`), m.exceeded())
	if r.Result != Healed || r.Killed < 60 {
		t.Fatalf("result %v, killed %d: %v", r.Result, r.Killed, r.Err)
	}
	m.innocent()
}

func TestExternalAccusesNobody(t *testing.T) {
	m := newSick(t)
	m.bomb(60)
	if r := m.treat(program(`echo '{"why":"a build"}'`), m.exceeded()); r.Result != NothingToDo || r.Plan.Why != "a build" {
		t.Fatalf("result %v, %q: %v", r.Result, r.Plan.Why, r.Err)
	}
}

func TestExternalIsNotTrusted(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"unknown pid":   {`echo '{"pids":[99999],"why":"x"}'`, "does not exist"},
		"init":          {`echo '{"pids":[1],"why":"x"}'`, "spared"},
		"spared user":   {`echo '{"uid":26,"why":"x"}'`, "nothing that may be killed"},
		"root":          {`echo '{"uid":0,"why":"x"}'`, "nothing that may be killed"},
		"two answers":   {`echo '{"why":"x"}{"why":"y"}'`, "more than one"},
		"unknown field": {`echo '{"why":"x","kill":true}'`, "unknown field"},
		"no reason":     {`echo '{"uid":65534}'`, "without a why"},
		"no answer":     {`true`, "EOF"},
		"fails":         {`echo broken >&2; exit 3`, "broken"},
		"floods":        {`yes`, "more than"},
	} {
		t.Run(name, inBubble(func(t *testing.T) { // whose clock stands still while the program runs
			distrusted(t, c.script, time.Minute, c.want)
		}))
	}
}

// TestExternalHangs is by the real clock, which goes on while the program sleeps.
func TestExternalHangs(t *testing.T) {
	distrusted(t, `sleep 60`, 300*time.Millisecond, "no answer in")
}

// distrusted: a program that says this, or nothing for so long, does no harm.
func distrusted(t *testing.T, script string, timeout time.Duration, want string) {
	t.Helper()
	m := newSick(t)
	m.bomb(60)
	h := program(script)
	h.Timeout = timeout
	r := m.treat(h, m.exceeded())
	if r.Result != Aborted || r.Killed != 0 || !strings.Contains(r.Err.Error(), want) {
		t.Fatalf("result %v, killed %d: %v", r.Result, r.Killed, r.Err)
	}
	m.innocent()
}

// TestExternalEndsWithItsChildren: what the program started ends with it.
func TestExternalEndsWithItsChildren(t *testing.T) {
	m := newSick(t)
	m.bomb(60)
	pid := filepath.Join(t.TempDir(), "pid")
	h := program("sleep 60 & echo $! > " + pid + "; wait")
	h.Timeout = 2 * time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	planned := make(chan error, 1)
	go func() {
		_, err := h.Plan(ctx, &Incident{ID: "x", Events: []sensorbox.Event{m.exceeded()}, Patient: m.patient, Attempt: 1})
		planned <- err
	}()
	var b []byte
	for end := time.Now().Add(time.Minute); !strings.HasSuffix(string(b), "\n"); time.Sleep(5 * time.Millisecond) {
		if b, _ = os.ReadFile(pid); time.Now().After(end) {
			t.Fatal("the program does not begin")
		}
	}
	cancel() // its time is over
	if err := <-planned; err == nil {
		t.Fatal("a plan of a program that was ended")
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	// Whoever reaps it may not have come to it yet.
	for range 1200 {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("process %d, which the program started, lives on", child)
}

func FuzzDecodeAnswer(f *testing.F) {
	f.Add([]byte(`{"uid":1001,"why":"x"}`))
	f.Add([]byte(`{"pids":[5,5,-1],"why":"x"}`))
	table := policy.Table{Processes: []policy.Process{{PID: 5, UID: 7, EUID: 7, MM: 1}, {PID: 6, UID: 0, MM: 2}, {PID: 8, UID: 9, EUID: 9, MM: 3}}}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decodeAnswer(b)
		if err != nil {
			return
		}
		p := &Plan{Spare: policy.Spare{UIDs: []uint32{9}}}
		if p.accept(table, a) != nil {
			return
		}
		for _, c := range p.Culprits {
			if c.PID != 5 {
				t.Fatalf("%s kills %+v", b, c)
			}
		}
	})
}
