// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
	"lazystate/tools/control"
)

// answers is a bdmon that knows a few sentences.
type answers struct {
	targets []control.Target
	owners  []control.Ownership
	asked   chan control.Request
}

func (a *answers) handle(_ context.Context, _ control.Peer, r control.Request, send func(any) error) error {
	a.asked <- r
	switch r.Cmd {
	case "targets":
		return send(a.targets)
	case "owners":
		return send(a.owners)
	case "sensors":
		return send([]control.Sensor{
			{Name: "tick0", Class: "progress", Flags: []string{"clock"}, Value: 7, Limit: 50_000, Contract: 50_000, Watched: true, Firing: true, StallUs: 60_000},
			{Name: "NPROCS", Class: "level", Value: 7, Limit: 100, Contract: 300, Watched: true},
		})
	case "watch":
		for i := range 3 {
			if err := send(control.Event{Target: "t1", Kind: "failed", Text: fmt.Sprintf("failed %d", i)}); err != nil {
				return err
			}
		}
		return errors.New("bdmon stops")
	case "audit":
		return send([]map[string]int{{"n": 1}, {"n": 2}})
	case "lock":
		return send(control.Lock{Drained: true, CPUs: []string{"user", "idle"}, LeaseMs: r.LeaseMs})
	case "unlock":
		return fmt.Errorf("not held: %w", control.ErrFalse)
	case "fence":
		return send(control.Done{Result: "fenced"})
	case "kill", "hook":
		return send(control.Done{Result: "done", Before: 60})
	}
	return errors.New("unknown command " + r.Cmd)
}

func start(t *testing.T) (*answers, string) {
	t.Helper()
	a := &answers{asked: make(chan control.Request, 100)}
	path := filepath.Join(t.TempDir(), "s")
	l, err := control.Listen(path, -1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); control.Serve(ctx, l, func(control.Peer) bool { return true }, a.handle) }()
	t.Cleanup(func() { cancel(); <-done })
	return a, path
}

func bdctl(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(context.Background(), append([]string{"bdctl"}, args...), strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestCommands(t *testing.T) {
	a, sock := start(t)
	a.targets = []control.Target{{Name: "t1", Up: true, Verdict: "ok", Carrier: "inic", PeriodUs: 10_000}}
	left := 3.14
	a.owners = []control.Ownership{{
		Target: "t1", Owner: "m1", Epoch: 7, Phase: "owning", Path: "good", Seconds: 62, LeaseLeft: &left,
		Monitors: []control.Candidate{{Monitor: "m1", Alive: true, Path: "good"}, {Monitor: "m\x1b", Why: "silent"}}, Conflicts: []string{"m2 uses slot 0 too"},
	}}
	for line, want := range map[string]struct {
		code     int
		out, err string
	}{
		"owners":                            {0, `t1      m1     7      owning  good  1m2s  3.1s   m1:good,m\x1b:down  m2 uses slot 0 too` + "\n", ""},
		"owners --json":                     {0, `[{"target":"t1","owner":"m1","epoch":7,"phase":"owning"`, ""},
		"owners t1":                         {2, "", "unexpected argument"},
		"targets":                           {0, "t1    yes  ok       inic     10ms", ""},
		"targets --json":                    {0, `[{"name":"t1","url":"","up":true,"verdict":"ok"`, ""},
		"sensors t1":                        {0, "tick0   progress  clock  7      50ms   50ms          -     stalled 60ms", ""},
		"watch t1":                          {1, "failed 2", "bdctl: watch t1: bdmon stops"},
		"audit --lines 5":                   {0, "{\"n\":1}\n{\"n\":2}\n", ""},
		"lock --for 2s t1":                  {0, "locked for 2s, drained view, CPUs: user idle", ""},
		"unlock t1":                         {3, "", "bdctl: unlock t1: not held"},
		"fence --for-good t1":               {0, "fenced", ""},
		"fence t1":                          {2, "", "want --for-good"},
		"kill t1 42":                        {0, "42: done", ""},
		"kill --signal TERM t1 42":          {0, "42: done", ""},
		"hooks t1 swappiness 10":            {0, "swappiness: 10, was 60", ""},
		"kill t1":                           {2, "", "want TARGET PID"},
		"kill t1 x":                         {2, "", `"x" is no pid`},
		"kill --signal NONE t1 42":          {2, "", `unknown signal "NONE"`},
		"hooks t1 magic 10":                 {2, "", `no knob "magic"`},
		"sensors":                           {2, "", "want one TARGET"},
		"sensors t1 --json":                 {2, "", "put flags first"},
		"nonsense":                          {2, "", "unknown command"},
		"sensors --url inic:///nowhere/ram": {1, "", "bdctl: sensors: open target"},
		"sensors --url rdma://t1":           {1, "", "a key is needed to connect"},
	} {
		code, out, errs := bdctl(append([]string{"--socket", sock}, strings.Fields(line)...)...)
		if code != want.code || !strings.Contains(out, want.out) || !strings.Contains(errs, want.err) || want.err == "" && errs != "" {
			t.Errorf("bdctl %s: exit %d\nstdout %q\nstderr %q\nwant %+v", line, code, out, errs, want)
		}
	}
}

func TestRequests(t *testing.T) {
	a, sock := start(t)
	for line, want := range map[string]control.Request{
		"lock --for 2s --drain 5ms t1":         {Cmd: "lock", Target: "t1", LeaseMs: 2000, DrainMs: 5},
		"kill --signal 15 --start 99 t1 42":    {Cmd: "kill", Target: "t1", PID: 42, Signal: 15, Start: 99},
		"hooks --arg 1000 t1 uid-nproc 5":      {Cmd: "hook", Target: "t1", Knob: "uid-nproc", Arg: 1000, Value: 5},
		"hooks --arg 1000 -- t1 swappiness -5": {Cmd: "hook", Target: "t1", Knob: "swappiness", Arg: 1000, Value: -5},
	} {
		if code, _, errs := bdctl(append([]string{"--socket", sock}, strings.Fields(line)...)...); code != 0 {
			t.Errorf("bdctl %s: exit %d, %s", line, code, errs)
			continue
		}
		if d := cmp.Diff(want, <-a.asked); d != "" {
			t.Errorf("bdctl %s (want -, got +):\n%s", line, d)
		}
	}
}

// A target that is down, or suspected, is a condition that is false.
func TestVerdictIsTheExitCode(t *testing.T) {
	a, sock := start(t)
	for _, c := range []control.Target{{Name: "t1", Up: false, Verdict: "ok"}, {Name: "t1", Up: true, Verdict: "failed"}} {
		a.targets = []control.Target{c}
		if code, out, _ := bdctl("--socket", sock, "targets"); code != 3 || !strings.Contains(out, "t1") {
			t.Errorf("%+v: exit %d, %q", c, code, out)
		}
	}
}

// So is a target that nobody owns.
func TestNoOwnerIsTheExitCode(t *testing.T) {
	a, sock := start(t)
	a.owners = []control.Ownership{{Target: "t1", Phase: "idle", Why: "held by b"}}
	if code, out, _ := bdctl("--socket", sock, "owners"); code != 3 || !strings.Contains(out, "held by b") {
		t.Errorf("exit %d, %q", code, out)
	}
}

func TestNoBdmon(t *testing.T) {
	if code, _, errs := bdctl("--socket", "/nowhere/s", "targets"); code != 1 || !strings.Contains(errs, "bdctl: targets: dial unix") {
		t.Errorf("exit %d, %q", code, errs)
	}
}

// Without bdmon a target is read by its URL.
func TestDirect(t *testing.T) {
	dir := t.TempDir()
	ram, bar := make([]byte, 16<<20), make([]byte, 4096)
	fake := bdtest.New(bdtest.WithBacking(ram, bar))
	fake.SetSensor(bdtest.Sensor{Class: uapi.Level, Limit: 300, Value: 12, Name: "NPROCS", Unit: "procs"})
	evil := fake.AddProcess(bdtest.Proc{UID: 1000, Comm: "\x1b[2J\nroot"})
	for name, b := range map[string][]byte{"ram": ram, "bar": bar} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	url := "inic://" + dir + "/ram"
	for command, want := range map[string]string{
		"sensors": "NPROCS  level  -      12     300    300           procs  ok", "regions": "sensorbox", "manifest": "6.1.0-bdtest",
		"ps": `\x1b[2J\nroot`,
	} {
		code, out, errs := bdctl(command, "--url", url)
		if code != 0 || !strings.Contains(out, want) || strings.Contains(out, "\x1b") {
			t.Errorf("bdctl %s: exit %d, %q, %q", command, code, out, errs)
		}
	}
	code, out, errs := bdctl("ps", "--json", "--url", url)
	var procs []control.Process
	if err := json.Unmarshal([]byte(out), &procs); code != 0 || err != nil {
		t.Fatalf("exit %d, %v, %q", code, err, errs)
	}
	for _, p := range procs {
		if p.PID == int32(evil.PID) && p.UID == 1000 && p.StartNs > 0 {
			return
		}
	}
	t.Errorf("processes %+v", procs)
}

func TestTimeout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := control.Listen(path, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	began := time.Now()
	if code, _, errs := bdctl("--socket", path, "--timeout", "50ms", "targets"); code != 1 || !strings.Contains(errs, "deadline exceeded") {
		t.Errorf("exit %d, %q", code, errs)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("gave up after %v", took)
	}
}
