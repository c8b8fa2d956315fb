// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The pinning outlives a call, so each case is a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("BUSY_CHILD") != "" {
		os.Exit(run(context.Background(), os.Args[1:], nil, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func child(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "BUSY_CHILD=1")
	return cmd
}

func TestPinnedTaskStaysOnItsProcessor(t *testing.T) {
	if runtime.NumCPU() < 2 {
		t.Skip("one processor: nothing to keep away from")
	}
	cmd := child("--cpu", "1", "--for", "1h")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { // the threads have been counted
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		on, off := affinities(t, cmd.Process.Pid)
		if on == 1 && off >= 1 {
			break
		}
		if on > 1 || time.Now().After(end) {
			t.Fatalf("%d threads on processor 1, %d on others; want exactly 1 and the rest", on, off)
		}
	}
}

func TestReport(t *testing.T) {
	var r report
	out, err := child("--for", "600ms").Output()
	if err == nil {
		err = json.Unmarshal(out, &r)
	}
	if err != nil || r.Iterations < 1 || r.Seconds < 0.5 {
		t.Errorf("%+v %v", r, err)
	}
}

// affinities counts the threads of pid that may run on processor 1 alone, and
// those that may not run there at all.
func affinities(t *testing.T, pid int) (on, off int) {
	t.Helper()
	out, err := exec.Command("sh", "-c", "grep -h Cpus_allowed_list /proc/$0/task/*/status", strconv.Itoa(pid)).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		switch f := strings.Fields(line); {
		case f[1] == "1":
			on++
		case !strings.Contains(f[1], "-") && f[1] != "1", strings.HasPrefix(f[1], "0,"):
			off++
		}
	}
	return on, off
}

func TestWrongUse(t *testing.T) {
	for want, args := range map[int][]string{2: {"--tasks", "0"}, 1: {"--cpu", "1000", "--for", "1ms"}} {
		if code := run(t.Context(), args, nil, io.Discard, io.Discard); code != want {
			t.Errorf("%v: exit %d, want %d", args, code, want)
		}
	}
}
