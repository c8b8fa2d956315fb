// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"lazystate/internal/leash"
	"lazystate/tools/control"
)

// Daemon is a bdmon process that watches one machine, as an operator starts it.
type Daemon struct {
	cmd    *exec.Cmd
	log    *os.File
	socket string
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // why it ended; read after ended is closed

	Skew time.Duration // how far its clock is ahead of ours
}

// Start writes what bdmon needs under dir and starts the one at path; what it
// says goes to a file there and to verbose.
func Start(ctx context.Context, path, dir string, c Config, verbose io.Writer) (*Daemon, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	d := &Daemon{socket: filepath.Join(dir, "sock"), ended: make(chan struct{})}
	text, err := json.MarshalIndent(c.file(d.socket), "", "  ") // JSON is YAML
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "bdmon.yaml")
	if err := os.WriteFile(file, append(text, '\n'), 0o600); err != nil {
		return nil, err
	}
	if d.log, err = os.OpenFile(filepath.Join(dir, "bdmon.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return nil, err
	}
	ctx, d.cancel = context.WithCancel(ctx)
	argv := []string{path, "--config", file}
	if c.Netns != "" {
		argv = append([]string{"nsenter", "--net=" + c.Netns}, argv...)
	}
	d.cmd = exec.CommandContext(ctx, argv[0], argv[1:]...)
	d.cmd.Stderr = io.MultiWriter(d.log, verbose)
	d.cmd.Cancel = func() error { return d.cmd.Process.Signal(syscall.SIGTERM) }
	d.cmd.WaitDelay = 20 * time.Second
	// A caller that is killed leaves no monitor behind.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	wait, err := leash.Start(d.cmd, syscall.SIGTERM)
	if err != nil {
		d.cancel()
		return nil, errors.Join(fmt.Errorf("start the monitor: %w", err), d.log.Close())
	}
	go func() {
		d.err = errors.Join(wait(), d.log.Close())
		close(d.ended)
	}()
	return d, nil
}

// Stop lets it release what it holds, and waits.
func (d *Daemon) Stop() {
	d.cancel()
	<-d.ended
}

// Dial waits until the target is sampled. The client lives as long as ctx.
func (d *Daemon) Dial(ctx context.Context) (*control.Client, error) {
	last := errors.New("no socket")
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); {
		c, err := control.Dial(ctx, d.socket)
		if err == nil {
			var all []control.Target
			if err = c.Call(control.Request{Cmd: "targets"}, &all); err == nil && len(all) == 1 && all[0].Samples > 2 {
				return c, nil
			}
			if err == nil && len(all) == 1 {
				err = errors.New(all[0].Error)
			}
			c.Close()
		}
		last = err
		select {
		case <-d.ended:
			return nil, d.Err()
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, fmt.Errorf("target cannot be watched: %w", last)
}

// Err is why it ended, nil while it runs.
func (d *Daemon) Err() error {
	select {
	case <-d.ended:
		return fmt.Errorf("the monitor has ended: %w", d.err)
	default:
		return nil
	}
}
