// SPDX-License-Identifier: Apache-2.0

package target

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const (
	commandWords = 4 << 10         // of what a command says of its failure
	commandLines = 256 << 10       // of what it says otherwise
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
		_, err := Run(ctx, what, argv)
		return err
	}
}

// Run runs such a command to its end, with more environment than ours, and returns the
// beginning of what it has printed.
func Run(ctx context.Context, what string, argv []string, env ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = commandPipes
	cmd.Env = append(os.Environ(), env...)
	out, errs := &head{most: commandLines}, &head{most: commandWords}
	cmd.Stdout, cmd.Stderr = out, errs
	if err := cmd.Run(); err != nil {
		said := append(errs.b, out.b...)
		return "", fmt.Errorf("%s: %w: %q", what, errors.Join(err, ctx.Err()), said[:min(len(said), commandWords)])
	}
	return string(out.b), nil
}

// head keeps the beginning of what is written to it.
type head struct {
	b    []byte
	most int
}

func (h *head) Write(p []byte) (int, error) {
	h.b = append(h.b, p[:min(len(p), h.most-len(h.b))]...)
	return len(p), nil
}
