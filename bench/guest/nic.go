// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/internal/leash"
	"lazystate/tools/lab"
)

// Daemon is a program of ours that runs beside a target.
type Daemon struct {
	cmd   *exec.Cmd
	log   *os.File
	ended chan struct{}
	err   error // of its end; after ended
}

const nicUpWithin = 30 * time.Second

// startNIC starts bdnic with frames of its own on a TAP of the target's network.
func startNIC(ctx context.Context, w *Wired, program string) (*Daemon, error) {
	keys, file := filepath.Join(w.dir, "keys"), filepath.Join(w.dir, "bdnic.yaml")
	var lines strings.Builder
	for slot, key := range w.Keys {
		fmt.Fprintf(&lines, "%d %x\n", slot, key[:])
	}
	text, err := json.Marshal(map[string]any{ // JSON is YAML
		"target": w.URL(INIC), "keys": keys, "metrics": "-",
		"listen": []any{map[string]any{
			"device":  fmt.Sprintf("roce://%s?tap=%s&prefix=%s", bdnicAddr, bdnicTAP, prefix),
			"address": fmt.Sprintf("%s:%d", bdnicAddr, uapi.RDMAPort),
		}},
	})
	if err == nil {
		err = errors.Join(os.WriteFile(keys, []byte(lines.String()), 0o600), os.WriteFile(file, text, 0o600))
	}
	if err != nil {
		return nil, err
	}
	d := &Daemon{ended: make(chan struct{})}
	if d.log, err = os.OpenFile(filepath.Join(w.dir, "bdnic.log"), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	d.cmd = exec.Command(program, "--config", file)
	d.cmd.Stderr = d.log
	if err := d.start(w.VM.Config().Net); err != nil {
		return nil, errors.Join(fmt.Errorf("start bdnic: %w", err), d.log.Close())
	}
	if err := d.await(ctx, "listening"); err != nil {
		return nil, errors.Join(err, d.Stop())
	}
	return d, nil
}

// start starts the daemon in a namespace. A caller that is killed leaves none behind.
func (d *Daemon) start(net string) error {
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	wait, err := leash.StartOn(func(f func() error) error { return lab.InNetns(net, f) }, d.cmd, syscall.SIGTERM)
	if err != nil {
		return err
	}
	go func() {
		d.err = wait()
		close(d.ended)
	}()
	return nil
}

// said is the end of the daemon's log.
func (d *Daemon) said() string {
	b, err := os.ReadFile(d.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}

// await waits until the daemon has said a word.
func (d *Daemon) await(ctx context.Context, word string) error {
	ctx, cancel := context.WithTimeout(ctx, nicUpWithin)
	defer cancel()
	for {
		said := d.said()
		if strings.Contains(said, word) {
			return nil
		}
		select {
		case <-d.ended:
			return fmt.Errorf("%s has ended: %w", filepath.Base(d.cmd.Path), d.err)
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s is not up: %s", filepath.Base(d.cmd.Path), said)
		}
	}
}

// Stop ends the daemon in order.
func (d *Daemon) Stop() error {
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	<-d.ended
	err := d.err
	var exit *exec.ExitError
	if errors.As(err, &exit) { // what it said is in its log
		err = fmt.Errorf("bdnic: %w: %s", err, d.said())
	}
	return errors.Join(err, d.log.Close())
}
