// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

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

// What a process said before it ended is read whole, though the time for reading
// is over; what others go on writing is not waited for.
func TestOutputBehindItsDeadline(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close() // a grandchild keeps it open
	said := bytes.Repeat([]byte("x"), 50_000)
	if _, err := w.Write(said); err != nil {
		t.Fatal(err)
	}
	if err := r.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	out, buf := &output{File: r}, make([]byte, 8192)
	got := 0
	for {
		n, err := out.Read(buf)
		got += n
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("y")); err != nil {
			t.Fatal(err)
		}
	}
	if got != len(said) {
		t.Errorf("%d bytes of %d", got, len(said))
	}
}

func TestArgumentsAreChecked(t *testing.T) {
	if mountArgs([]string{"a"}) == nil || reboot([]string{"halt"}) == nil {
		t.Error("wrong arguments pass")
	}
	if err := setFIFO(0); err == nil {
		t.Error("SCHED_FIFO with priority 0 passes")
	}
}
