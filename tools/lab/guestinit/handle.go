// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"lazystate/tools/lab/wire"
)

// handle does the request. Operations that wait for a process hold no slot;
// all others do, so that they never need more threads than exist.
func (c *call) handle() (wire.Reply, error) {
	switch c.req.Op {
	case wire.OpRun:
		return c.runProcess()
	case wire.OpWait:
		return c.wait()
	case wire.OpPut:
		return wire.Reply{}, c.put()
	}
	c.s.blocking <- struct{}{}
	defer func() { <-c.s.blocking }()
	return c.builtIn()
}

func (c *call) builtIn() (wire.Reply, error) {
	r := c.req
	switch r.Op {
	case wire.OpPing:
		return wire.Reply{}, nil
	case wire.OpStatus:
		st, err := status()
		return wire.Reply{Status: st}, err
	case wire.OpStart:
		return c.start()
	case wire.OpKill:
		return wire.Reply{}, unix.Kill(r.PID, unix.Signal(r.Signal))
	case wire.OpGet:
		return wire.Reply{}, c.get()
	case wire.OpList:
		text, err := list(r.Path)
		return wire.Reply{Text: text}, err
	case wire.OpPS:
		text, err := processes()
		return wire.Reply{Text: text}, err
	case wire.OpMount:
		return wire.Reply{}, mountArgs(r.Argv)
	case wire.OpInsmod:
		return wire.Reply{}, insmod(r.Path, r.Argv)
	case wire.OpRmmod:
		return wire.Reply{}, rmmod(r.Argv)
	case wire.OpSwapon:
		return wire.Reply{}, swapon(r.Path)
	case wire.OpReboot:
		return wire.Reply{}, reboot(r.Argv)
	}
	return wire.Reply{}, fmt.Errorf("guestinit does not know %q", r.Op)
}

func mountArgs(a []string) error {
	if len(a) != 4 {
		return fmt.Errorf("mount wants source, target, type and options, not %q", a)
	}
	return mount{a[0], a[1], a[2], a[3]}.do()
}

func reboot(a []string) error {
	how := map[string]int{"restart": unix.LINUX_REBOOT_CMD_RESTART, "poweroff": unix.LINUX_REBOOT_CMD_POWER_OFF}
	if len(a) != 1 || how[a[0]] == 0 {
		return fmt.Errorf("reboot wants restart or poweroff, not %q", a)
	}
	return unix.Reboot(how[a[0]])
}

func list(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	var b strings.Builder
	for _, e := range entries {
		b.WriteString(e.Name() + "\n")
	}
	return b.String(), err
}
