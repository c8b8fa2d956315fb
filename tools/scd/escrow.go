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

	"lazystate/internal/cli"
	"lazystate/mtcp/escrow"
	"lazystate/mtcp/migrate"
	"lazystate/tools/scd/config"
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

// holderOf makes one that outlives this process, whatever becomes of that: in a session
// of its own, with nothing of its own to write to. It is of this release, though the
// file may be another one's by now.
func holderOf(listener *os.File) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", "escrow")
	cmd.Args[0] = os.Args[0] // for who looks at processes
	cmd.ExtraFiles, cmd.SysProcAttr = []*os.File{listener}, &syscall.SysProcAttr{Setsid: true}
	return cmd
}

func startHolder(listener *os.File) error {
	cmd := holderOf(listener)
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // it has nothing to say
	return nil
}

// escrowIn is where the holder of a journal's daemon listens.
func escrowIn(journal string) string { return filepath.Join(journal, "escrow") }

// release is for who ends the daemon for good.
func release(c *ucli.Context) error {
	if c.Args().Present() {
		return cli.Usagef("unexpected argument %q", c.Args().First())
	}
	cfg, err := config.Load(c.String("config"))
	if err != nil {
		return err
	}
	lock, err := lockJournal(cfg.Journal)
	if err != nil {
		return err
	}
	defer lock.Close()
	n, err := escrow.Empty(escrowIn(cfg.Journal))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "%d session(s) have ended\n", n)
	return err
}

// openEscrow: a daemon without one goes on, and says what that means.
func (d *state) openEscrow(mc *migrate.Config) {
	var err error
	if mc.Escrow, mc.Left, err = escrow.Open(escrowIn(d.cfg.Journal), startHolder); err != nil {
		d.log.Warn("what no process has is lost if this daemon dies, until there is a holder", "err", err)
	}
	d.escrow = mc.Escrow
}
