// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"lazystate/backdoor"
	"lazystate/repair"
	"lazystate/sensorbox"
)

// newResort is what resets the target's machines, where the configuration says
// so. It lives as long as this monitor owns the target, and so does its
// cool-down, over all boots.
func (w *watch) newResort(since time.Time) *repair.LastResort {
	if !w.cfg.Reset {
		return nil
	}
	r := w.cfg.Repair.Reset
	return repair.NewLastResort(repair.ResetOptions{
		Confirm: dur(r.Confirm), CoolDown: dur(r.CoolDown), Bound: dur(r.Bound), Enter: w.enter, Since: since,
	})
}

// watchForLoss waits for the end of one boot.
func (w *watch) watchForLoss(ctx context.Context, t *backdoor.Target, c *care) {
	for {
		select {
		case ev := <-c.lost:
			w.considerReset(ctx, t, c.resort, ev)
		case <-ctx.Done():
			return
		}
	}
}

func (w *watch) considerReset(ctx context.Context, t *backdoor.Target, resort *repair.LastResort, ev sensorbox.Event) {
	reset, err := resort.Consider(ctx, w.patient(t), ev)
	result := "nothing-to-do"
	switch {
	case reset:
		result = "reset"
	case errors.Is(err, repair.ErrDryRun):
		result = repair.DryRun.String()
	case err != nil:
		result = repair.Aborted.String()
	}
	w.d.metrics.repairs.WithLabelValues("last-resort", "", result).Inc()
	w.log.Warn("last resort", "result", result, "err", err)
}

// tellResort never waits: one event is as good as many.
func (c *care) tellResort(ev sensorbox.Event) {
	if c.resort == nil || !repair.EndsMachine(ev) {
		return
	}
	select {
	case c.lost <- ev:
	default:
	}
}

const (
	fenceWords = 4 << 10         // of a fence command's output that are told
	fencePipes = 2 * time.Second // for what is left of its output, once it is killed
)

// fence runs the fence command. When ctx ends, it is killed with its group.
func (w *watch) fence(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, w.cfg.FenceCommand[0], w.cfg.FenceCommand[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = fencePipes
	var out head
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("fence command: %w: %q", errors.Join(err, ctx.Err()), out)
	}
	return nil
}

// head keeps the beginning of what is written to it.
type head []byte

func (h *head) Write(p []byte) (int, error) {
	*h = append(*h, p[:min(len(p), fenceWords-len(*h))]...)
	return len(p), nil
}
