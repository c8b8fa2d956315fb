// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestStatOfAHostileName(t *testing.T) {
	comm, state, ppid, ok := readStat(os.Getpid())
	if !ok || state == "" || ppid != os.Getppid() || comm == "" {
		t.Fatalf("of this process: %q %q %d %v", comm, state, ppid, ok)
	}
	file := fmt.Sprintf("/proc/self/task/%d/comm", os.Getpid()) // the main thread's name is the process's
	old := readLine(file)
	if err := os.WriteFile(file, []byte(") R 1 (\n"), 0); err != nil {
		t.Fatal(err)
	}
	defer os.WriteFile(file, []byte(old), 0)
	if comm, _, ppid, ok := readStat(os.Getpid()); !ok || ppid != os.Getppid() || comm != `") R 1 (\n"` {
		t.Errorf("%s, parent %d, %v", comm, ppid, ok)
	}
}

func TestPseudoFilesAreWrittenInPlace(t *testing.T) {
	for path, want := range map[string]bool{
		"/proc/sys/vm/x": true, "/sys/a": true, "/tmp/proc/x": false, "/process": false, "/x/../proc/y": true, "rel": false,
	} {
		if inPseudo(path) != want {
			t.Errorf("%s: %v", path, !want)
		}
	}
}

func TestExitCode(t *testing.T) {
	for st, want := range map[unix.WaitStatus]int{0: 0, 7 << 8: 7, 9: 128 + 9} {
		if got := exitCode(st); got != want {
			t.Errorf("status %#x: %d, want %d", st, got, want)
		}
	}
}

func TestArgumentsAreChecked(t *testing.T) {
	if mountArgs([]string{"a"}) == nil || netArgs([]string{"eth0"}) == nil || reboot([]string{"halt"}) == nil {
		t.Error("wrong arguments pass")
	}
	if err := setFIFO(0); err == nil {
		t.Error("SCHED_FIFO with priority 0 passes")
	}
}
