// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"lazystate/bench/result"
	"lazystate/bench/trial"
)

// What bddrill says when its first machine is begun, and when it is up.
const (
	begunSays = ": booting a "
	upSays    = " is up; the useful program runs alone"
)

// warmStarts starts make drill again and again and ends it when its first
// machine is up. The first time is the set-up, and does not count.
func warmStarts(ctx context.Context, o *trial.Options, fig *result.Figure) error {
	var begun, up []float64
	for run := range 1 + o.Runs {
		b, u, err := warmStart(ctx, "make", "drill")
		if err != nil {
			return fmt.Errorf("make drill, run %d: %w", run, err)
		}
		o.Logf("make drill: first machine begun after %v, up after %v", b.Round(10*time.Millisecond), u.Round(10*time.Millisecond))
		if run > 0 {
			begun, up = append(begun, b.Seconds()), append(up, u.Seconds())
		}
	}
	n := float64(len(machines))
	fig.Add("ours: make drill, warm", n+1, begun)
	fig.Add("ours: make drill, warm", n+2, up)
	return nil
}

// warmStart runs the command until it has said both words, then ends it as ^C does.
func warmStart(ctx context.Context, argv ...string) (begun, up time.Duration, err error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	interrupt := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.Cancel, cmd.WaitDelay = interrupt, time.Minute
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	begun, up, last := listen(stderr, start)
	said := begun > 0 && up > 0
	if said {
		err = interrupt()
	}
	io.Copy(io.Discard, stderr) // what it says while it takes its machine down
	wait := cmd.Wait()
	if !said {
		err = fmt.Errorf("it ended before its machine was up: %q: %w", last, errors.Join(ctx.Err(), wait))
	}
	return begun, up, err
}

// listen returns when both words were said, or when nothing more comes.
func listen(r io.Reader, start time.Time) (begun, up time.Duration, last string) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		last = lines.Text()
		if begun == 0 && strings.Contains(last, begunSays) {
			begun = time.Since(start)
		}
		if strings.Contains(last, upSays) {
			return begun, time.Since(start), last
		}
	}
	return begun, 0, last
}
