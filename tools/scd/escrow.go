// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	ucli "github.com/urfave/cli/v2"

	"lazystate/mtcp/escrow"
	"lazystate/mtcp/migrate"
)

// escrowPatience is how long a holder waits for the next daemon. Clients wait for
// longer, but nobody else is there who could answer them.
const escrowPatience = 2 * time.Minute

// holder is the command that the daemon starts for itself.
func holder() *ucli.Command {
	return &ucli.Command{Name: "escrow", Hidden: true, Usage: "hold what comes, for a daemon that may die", Action: func(c *ucli.Context) error {
		f := os.NewFile(3, "listener")
		l, err := net.FileListener(f)
		if err != nil {
			return err
		}
		defer f.Close()
		u, ok := l.(*net.UnixListener)
		if !ok {
			return fmt.Errorf("a %T is no listener of an escrow", l)
		}
		return escrow.Serve(c.Context, u, escrowPatience)
	}}
}

// startHolder starts it so that it outlives this process, whatever becomes of that:
// in a session of its own, with nothing of its own to write to.
func startHolder(listener *os.File) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe, "escrow")
	cmd.ExtraFiles, cmd.SysProcAttr = []*os.File{listener}, &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // it has nothing to say
	return nil
}

// openEscrow: a daemon without one goes on, and says what that means.
func (d *state) openEscrow(mc *migrate.Config) {
	err := os.MkdirAll(d.cfg.Journal, 0o700)
	if err == nil {
		mc.Escrow, mc.Left, err = escrow.Open(filepath.Join(d.cfg.Journal, "escrow"), startHolder)
	}
	if err != nil {
		d.log.Warn("sessions that come are lost if this daemon dies before a process has them", "err", err)
		return
	}
	d.escrow = mc.Escrow
}
