// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
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
