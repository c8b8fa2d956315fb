// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lazystate/bench/apps/threads"
	"lazystate/bench/criu/command"
	"lazystate/internal/pause"
)

// coordinated has CRIU checkpoint the whole job and set it up again, and returns its
// version, or why it does not.
func (r *rig) coordinated(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, settings.criu, "--version").Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "it is not installed: not measured", nil
	}
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", settings.criu, err)
	}
	version := strings.Join(strings.Fields(string(out)), " ")
	if out, err := exec.CommandContext(ctx, settings.criu, "check").CombinedOutput(); err != nil { // as 3.17 with Linux 6.18
		return fmt.Sprintf("%s does not run on this kernel: not measured: %s", version, strings.TrimSpace(string(out))), nil
	}
	alone, err := r.OnThreads(ctx, r.Threads)
	if err == nil {
		err = r.Same(alone)
	}
	if err != nil {
		return "", err
	}
	for range r.o.Runs {
		if err := r.moved(ctx, alone); err != nil {
			return "", err
		}
	}
	return version, nil
}

// moved takes a job down in its midst and sets it up again. Its result is checked.
func (r *rig) moved(ctx context.Context, alone threads.Result) (err error) {
	dir, err := os.MkdirTemp(r.Dir, "criu")
	if err != nil {
		return err
	}
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	cmd := r.C.Command(r.Work, r.Threads)
	cmd.Stdout, cmd.SysProcAttr = out, &syscall.SysProcAttr{Setsid: true} // no terminal to carry
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := pause.For(ctx, time.Duration(alone.Seconds*float64(time.Second)/2)); err != nil {
		return errors.Join(err, cmd.Process.Kill())
	}
	stood, err := command.Run(ctx, settings.criu, dir, "dump", "--tree", strconv.Itoa(cmd.Process.Pid))
	if err != nil {
		return errors.Join(err, cmd.Process.Kill())
	}
	_ = cmd.Wait() // CRIU has killed it
	pid := filepath.Join(dir, "pid")
	ran, err := command.Run(ctx, settings.criu, dir, "restore", "--restore-detached", "--pidfile", pid)
	if err == nil {
		err = ended(ctx, pid)
	}
	if err != nil {
		return err
	}
	r.got[stands], r.got[restart] = append(r.got[stands], stood.Seconds()), append(r.got[restart], ran.Seconds())
	if _, err := out.Seek(0, 0); err != nil {
		return err
	}
	got, err := threads.Parse(out)
	return errors.Join(err, r.Same(got))
}

// ended waits for the end of a process that is not ours.
func ended(ctx context.Context, pidfile string) error {
	pid, err := command.PID(pidfile)
	if err != nil {
		return err
	}
	for !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		if err := pause.For(ctx, time.Millisecond); err != nil {
			return errors.Join(err, syscall.Kill(pid, syscall.SIGKILL))
		}
	}
	return nil
}
