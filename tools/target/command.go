// SPDX-License-Identifier: Apache-2.0

package target

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

const (
	commandWords = 4 << 10         // of a command's output that are told
	commandPipes = 2 * time.Second // for what is left of its output, once it is killed
)

// Command is what an operator has in place of a carrier's own way, to reset a machine
// or to take it off its network; nil without arguments. When its context ends it
// is killed with its group.
func Command(what string, argv []string) func(context.Context) error {
	if len(argv) == 0 {
		return nil
	}
	return func(ctx context.Context) error {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
		cmd.WaitDelay = commandPipes
		var out head
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w: %q", what, errors.Join(err, ctx.Err()), out)
		}
		return nil
	}
}

// head keeps the beginning of what is written to it.
type head []byte

func (h *head) Write(p []byte) (int, error) {
	*h = append(*h, p[:min(len(p), commandWords-len(*h))]...)
	return len(p), nil
}
