// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lazystate/tools/lab"
)

// Where bdmon and what it needs lie in a machine of its own.
const (
	GuestMonitor = "/bin/bdmon"
	GuestPipe    = "/bin/bdpipe"

	guestConfig = "/etc/bdmon.yaml"
	guestKey    = "/etc/bdmon.key"
	guestAudit  = "/tmp/audit.jsonl"
	guestSocket = "/tmp/bdmon.sock"
	guestLog    = "/tmp/bdmon.log"
)

// StartIn starts the bdmon that lies in a machine, and brings out its control
// socket, under dir, and its audit log, to c.Audit. Its times are that machine's:
// Skew says how far they are ahead.
func StartIn(ctx context.Context, vm *lab.VM, dir string, c Config, verbose io.Writer) (*Daemon, error) {
	d := &Daemon{socket: filepath.Join(dir, "sock"), ended: make(chan struct{})}
	audit, err := os.OpenFile(c.Audit, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(c.KeyFile)
	if err != nil {
		return nil, errors.Join(err, audit.Close())
	}
	c.KeyFile, c.Audit = guestKey, guestAudit
	text, err := json.Marshal(c.file(guestSocket))
	if err == nil {
		err = errors.Join(vm.WriteFile(ctx, guestConfig, text, 0o600), vm.WriteFile(ctx, guestKey, key, 0o600), vm.WriteFile(ctx, guestAudit, nil, 0o600))
	}
	if err == nil {
		d.Skew, err = skew(ctx, vm)
	}
	if err != nil {
		return nil, errors.Join(err, audit.Close())
	}
	pid, err := vm.Start(ctx, lab.Proc{Argv: []string{GuestMonitor, "--config", guestConfig}, Log: guestLog})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the monitor: %w", err), audit.Close())
	}
	// What is brought out outlives ctx until the monitor has let go.
	streams, stop := context.WithCancel(context.WithoutCancel(ctx))
	go d.bringOut(streams, vm, audit)
	go func() {
		exit, err := vm.Wait(streams, pid)
		if err == nil && exit != 0 {
			err = fmt.Errorf("exit %d", exit)
		}
		if log, e := vm.ReadFile(streams, guestLog); e == nil {
			_, _ = verbose.Write(log)
			_ = os.WriteFile(filepath.Join(dir, "bdmon.log"), log, 0o600) // for who looks for it
		}
		d.err = err
		stop()
		close(d.ended)
	}()
	d.cancel = func() {
		kill, done := context.WithTimeout(streams, time.Minute)
		defer done()
		if err := vm.Kill(kill, pid, syscall.SIGTERM); err != nil {
			stop() // the machine is gone
		}
	}
	context.AfterFunc(ctx, d.cancel)
	return d, nil
}

// bringOut copies the audit log and serves the control socket until ctx ends.
func (d *Daemon) bringOut(ctx context.Context, vm *lab.VM, audit *os.File) {
	defer audit.Close()
	l, err := net.Listen("unix", d.socket)
	if err != nil {
		return // Dial tells that there is no socket
	}
	context.AfterFunc(ctx, func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = vm.Stream(ctx, lab.Proc{Argv: []string{GuestPipe, guestSocket}}, conn, conn, nil)
			}()
		}
	}()
	_, _ = vm.Stream(ctx, lab.Proc{Argv: []string{"tail", "-n", "+1", "-F", guestAudit}}, nil, audit, nil)
}

// skew is how far a machine's clock is ahead of ours, by the quickest of some
// questions.
func skew(ctx context.Context, vm *lab.VM) (time.Duration, error) {
	best, ahead := time.Duration(math.MaxInt64), time.Duration(0)
	for range 7 {
		began := time.Now()
		out, err := vm.Must(ctx, GuestPipe, "--clock")
		if err != nil {
			return 0, fmt.Errorf("clock of %s: %w", vm.Name(), err)
		}
		took := time.Since(began)
		ns, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("clock of %s: %w", vm.Name(), err)
		}
		if took < best {
			best, ahead = took, time.Unix(0, ns).Sub(began.Add(took/2))
		}
	}
	return ahead, nil
}
