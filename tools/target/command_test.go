// SPDX-License-Identifier: Apache-2.0

package target

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
)

// TestCommandIsBounded: what it started dies with it, and what it says
// does not fill the memory.
func TestCommandIsBounded(t *testing.T) {
	dir := t.TempDir()
	run := Command("test", []string{"/bin/sh", "-c", `sleep 60 & echo $! > ` + dir + `/pid; yes`})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	var b []byte
	for end := time.Now().Add(time.Minute); !bytes.HasSuffix(b, []byte("\n")); time.Sleep(5 * time.Millisecond) {
		if b, _ = os.ReadFile(dir + "/pid"); time.Now().After(end) {
			t.Fatal("the command does not begin")
		}
	}
	cancel() // its time is over
	err := <-ended
	if !errors.Is(err, context.Canceled) || len(err.Error()) > 4*commandWords {
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

func TestCommandThatFails(t *testing.T) {
	run := Command("test", []string{"/bin/sh", "-c", "echo no such outlet; exit 3"})
	if err := run(t.Context()); err == nil || !strings.Contains(err.Error(), "no such outlet") {
		t.Errorf("%v", err)
	}
}
