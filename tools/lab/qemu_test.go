// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"lazystate/internal/leash"
)

func following(t *testing.T, args ...string) *process {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	wait, err := leash.Start(cmd, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	return follow(cmd.Process, wait)
}

// A QEMU that has ended is not killed: its number may be another process's.
func TestEndedIsNotKilled(t *testing.T) {
	p := following(t, "true")
	<-p.exited
	if err := p.end(); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("killed after its end: %v", err)
	}
	p = following(t, "sleep", "600")
	if err := p.end(); err != nil {
		t.Errorf("kill: %v", err)
	}
	var exit *exec.ExitError
	if !errors.As(p.err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("it ended with %v", p.err)
	}
}
