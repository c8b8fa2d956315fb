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
	alone, err := r.c.Run(ctx, settings.Sizes)
	if err == nil {
		err = r.same(alone)
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
	dir, err := os.MkdirTemp(r.bin, "criu")
	if err != nil {
		return err
	}
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	cmd := r.c.Command(settings.Sizes)
	cmd.Stdout, cmd.SysProcAttr = out, &syscall.SysProcAttr{Setsid: true} // no terminal to carry
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := pause.For(ctx, time.Duration(alone.Seconds*float64(time.Second)/2)); err != nil {
		return errors.Join(err, cmd.Process.Kill())
	}
	stood, err := criu(ctx, dir, "dump", "--tree", strconv.Itoa(cmd.Process.Pid))
	if err != nil {
		return errors.Join(err, cmd.Process.Kill())
	}
	_ = cmd.Wait() // CRIU has killed it
	pid := filepath.Join(dir, "pid")
	ran, err := criu(ctx, dir, "restore", "--restore-detached", "--pidfile", pid)
	if err == nil {
		err = ended(ctx, pid)
	}
	if err != nil {
		return err
	}
	r.got[stands], r.got[restart] = append(r.got[stands], stood), append(r.got[restart], ran)
	if _, err := out.Seek(0, 0); err != nil {
		return err
	}
	got, err := threads.Parse(out)
	return errors.Join(err, r.same(got))
}

// criu returns how long it took.
func criu(ctx context.Context, images, what string, args ...string) (float64, error) {
	cmd := exec.CommandContext(ctx, settings.criu, append([]string{what, "--images-dir", images, "--log-file", what + ".log"}, args...)...)
	start := time.Now()
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(filepath.Join(images, what+".log"))
		return 0, fmt.Errorf("criu %s: %w: %s", what, err, said[max(0, len(said)-1000):])
	}
	return time.Since(start).Seconds(), nil
}

// ended waits for the end of a process that is not ours.
func ended(ctx context.Context, pidfile string) error {
	b, err := os.ReadFile(pidfile)
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid < 2 {
		return fmt.Errorf("criu's pid file says %q", b)
	}
	for !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		if err := pause.For(ctx, time.Millisecond); err != nil {
			return errors.Join(err, syscall.Kill(pid, syscall.SIGKILL))
		}
	}
	return nil
}
