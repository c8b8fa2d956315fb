// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/repair"
	"lazystate/repair/drill"
	"lazystate/tools/control"
)

// daemon is a bdmon process that watches one machine, as an operator starts it.
type daemon struct {
	cmd    *exec.Cmd
	log    *os.File
	socket string
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // why it ended; read after ended is closed
}

// startDaemon writes what bdmon needs under dir and starts it.
func startDaemon(ctx context.Context, path, dir string, cfg map[string]any, verbose io.Writer) (*daemon, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	d := &daemon{socket: filepath.Join(dir, "sock"), ended: make(chan struct{})}
	cfg["socket"] = d.socket
	text, err := json.MarshalIndent(cfg, "", "  ") // JSON is YAML
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
	d.cmd = exec.CommandContext(ctx, path, "--config", file)
	d.cmd.Stderr = io.MultiWriter(d.log, verbose)
	d.cmd.Cancel = func() error { return d.cmd.Process.Signal(syscall.SIGTERM) }
	d.cmd.WaitDelay = 20 * time.Second
	// A bddrill that is killed leaves no monitor behind.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := d.cmd.Start(); err != nil {
		d.cancel()
		return nil, errors.Join(fmt.Errorf("start the monitor: %w", err), d.log.Close())
	}
	go func() {
		d.err = errors.Join(d.cmd.Wait(), d.log.Close())
		close(d.ended)
	}()
	return d, nil
}

// stop lets it release what it holds, and waits.
func (d *daemon) stop() {
	d.cancel()
	<-d.ended
}

// dial waits until the target is sampled. The client lives as long as ctx.
func (d *daemon) dial(ctx context.Context) (*control.Client, error) {
	last := errors.New("no socket")
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
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
			return nil, fmt.Errorf("the monitor has ended: %w", d.err)
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, fmt.Errorf("target cannot be watched: %w", last)
}

// configure is bdmon's configuration for a drill's machine.
func configure(m *machine, d *drill.Drill, heal bool, keyFile, audit string) map[string]any {
	target := map[string]any{
		"name": m.vm.Name(), "url": "lab:" + m.vm.Name(), "key_file": keyFile, "period": "10ms",
	}
	if heal {
		target["healers"] = []any{healer(m, d)}
	} else {
		// A program's sensor is watched if it is named.
		target["sensors"] = map[string]any{canarySensor: map[string]any{}}
	}
	return map[string]any{"metrics": "-", "audit": audit, "targets": []any{target}}
}

func healer(m *machine, d *drill.Drill) map[string]any {
	var limits []any
	for _, l := range d.Limits {
		limits = append(limits, map[string]any{l.Kind.String(): l.Limit})
	}
	var policy any = map[string]any{"all": limits}
	if len(limits) == 1 {
		policy = limits[0]
	}
	h := map[string]any{"kind": "proc", "sensors": sensors(d), "policy": policy}
	if len(d.Spare.UIDs) > 0 {
		h["spare"] = map[string]any{"uids": d.Spare.UIDs}
	}
	if d.Resource == drill.Memory {
		usable := (m.vm.Config().MemMiB + m.vm.Config().SwapMiB) << 20 / 4096
		h["kind"], h["free"], h["floor"] = "memory", []string{"AVAIL_PAGES", "SWAP_FREE"}, usable/20
	}
	return h
}

// sensors that call the drill's healer.
func sensors(d *drill.Drill) []string {
	if d.Resource == drill.Memory {
		return []string{repair.SensorOOM, repair.SensorMemStall}
	}
	return []string{repair.SensorNProcs, repair.SensorMaxProcRate, repair.SensorNThreads}
}

// writeKey keeps the machine's key where only bdmon's user may read it.
func writeKey(dir string, key uapi.Key) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "key")
	return path, os.WriteFile(path, []byte(hex.EncodeToString(key[:])+"\n"), 0o600)
}
