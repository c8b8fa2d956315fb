// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
	"lazystate/tools/bdmon/config"
)

// clocked gives the machine the clocks that a diagnosis looks at.
func (r *rig) clocked() *rig {
	for _, name := range []string{"TICKS.0", "TICKS.1"} {
		r.SetSensor(bdtest.Sensor{Class: uapi.Progress, Flags: uapi.SensorClock, Limit: 400_000, Name: name})
	}
	return r
}

const fast = "    repair: {reset: {confirm: 10ms, cool_down: 10ms, bound: 5s}}\n"

func (r *rig) audit(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(r.path("audit.jsonl"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}

// TestFenceCommandIsRun: a machine that hangs is reset by the command, once,
// and the one that comes back is watched.
func TestFenceCommandIsRun(t *testing.T) {
	r := newRig(t).clocked()
	r.configure(t, fmt.Sprintf("    reset: unrepairable\n    fence_command: [/bin/sh, -c, 'echo run >> %s']\n%s", r.path("fence"), fast))
	c := r.start(t)
	was := r.up(t, c).Boot
	r.Hang(true)
	r.eventually(t, "the fence command has run", func() bool { _, err := os.Stat(r.path("fence")); return err == nil })
	r.Reboot()
	r.Hang(false)
	r.eventually(t, "the new machine is watched", func() bool { return r.up(t, c).Boot != was })
	log := r.audit(t)
	before, after := strings.Index(log, `"step":"reset"`), strings.Index(log, `"step":"result"`)
	if before < 0 || after < before {
		t.Errorf("audit log:\n%s", log)
	}
	if b, _ := os.ReadFile(r.path("fence")); string(b) != "run\n" {
		t.Errorf("runs: %q", b)
	}
}

func TestNoFenceCommandInADryRun(t *testing.T) {
	r := newRig(t).clocked()
	r.configure(t, fmt.Sprintf("    reset: unrepairable\n    fence_command: [/bin/sh, -c, 'echo run >> %s']\n%s", r.path("fence"), fast))
	r.up(t, r.start(t, "--dry-run"))
	r.Hang(true)
	r.eventually(t, "the last resort was asked", func() bool { return strings.Contains(r.audit(t), "dry run: neither frozen nor reset") })
	if _, err := os.Stat(r.path("fence")); err == nil {
		t.Error("the fence command has run")
	}
}

// TestFenceCommandIsBounded: what it started dies with it, and what it says
// does not fill the memory.
func TestFenceCommandIsBounded(t *testing.T) {
	dir := t.TempDir()
	w := &watch{cfg: config.Target{FenceCommand: []string{"/bin/sh", "-c", `sleep 60 & echo $! > ` + dir + `/pid; yes`}}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	fenced := make(chan error, 1)
	go func() { fenced <- w.fence(ctx) }()
	var b []byte
	for end := time.Now().Add(time.Minute); !bytes.HasSuffix(b, []byte("\n")); time.Sleep(5 * time.Millisecond) {
		if b, _ = os.ReadFile(dir + "/pid"); time.Now().After(end) {
			t.Fatal("the command does not begin")
		}
	}
	cancel() // its time is over
	err := <-fenced
	if !errors.Is(err, context.Canceled) || len(err.Error()) > 4*fenceWords {
		t.Errorf("%d bytes of error: %.200v", len(err.Error()), err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); !dead(pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("its child %d is alive", pid)
		}
	}
}

// dead is also a zombie that nobody waits for.
func dead(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(b), ") Z ")
}

func TestFenceCommandThatFails(t *testing.T) {
	w := &watch{cfg: config.Target{FenceCommand: []string{"/bin/sh", "-c", "echo no such outlet; exit 3"}}}
	if err := w.fence(t.Context()); err == nil || !strings.Contains(err.Error(), "no such outlet") || errors.Is(err, backdoor.ErrGone) {
		t.Errorf("%v", err)
	}
}
