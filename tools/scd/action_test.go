// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lazystate/internal/sockaddr"
	"lazystate/mtcp"
	"lazystate/mtcp/cbox"
)

// actions are what a server can do to its connection (§2.5.3).
var actions = map[string]func(*cbox.Conn) error{
	"nagle":    func(c *cbox.Conn) error { return c.SetNoDelay(false) },
	"nodelay":  func(c *cbox.Conn) error { return c.SetNoDelay(true) },
	"linger":   func(c *cbox.Conn) error { return c.SetLinger(7) },
	"reset":    func(c *cbox.Conn) error { return c.SetLinger(0) },
	"shutdown": func(c *cbox.Conn) error { return c.CloseWrite() },
	"close":    func(c *cbox.Conn) error { _, err := c.Write(halfAnswer(32)); return err },
}

// acted does one of them, which the client names, and exports it or not; when the client
// says so, it says a word more. Then, or at once, its connection is closed.
func acted(c *cbox.Conn) ([]byte, error) {
	request := make([]byte, 16)
	b, imported := c.Import()
	if imported {
		copy(request, b)
	} else if _, err := io.ReadFull(c, request); err != nil {
		return nil, err
	}
	name, exports := strings.CutSuffix(strings.TrimSpace(string(request)), "!")
	if !imported {
		if err := actions[name](c); err != nil || name == "close" {
			return nil, err
		}
	}
	if exports && !imported {
		if err := c.Export(request); err != nil {
			return nil, err
		}
	}
	if _, err := io.ReadFull(c, make([]byte, 2)); err != nil {
		return nil, err
	}
	_, err := io.WriteString(c, "bye")
	return nil, err
}

// ends is how a connection ends at the client, once it has asked for that.
var ends = map[string]func(got []byte, err error) bool{
	"nagle":    saysBye,
	"nodelay":  saysBye,
	"linger":   saysBye,
	"reset":    func(got []byte, err error) bool { return saysBye(got, err) || errors.Is(err, syscall.ECONNRESET) }, // Close sends what is left first
	"shutdown": func(got []byte, err error) bool { return err == nil && len(got) == 0 },
	"close":    func(got []byte, err error) bool { return err == nil && bytes.Equal(got, halfAnswer(32)) },
}

func saysBye(got []byte, err error) bool { return err == nil && string(got) == "bye" }

// found is what is to be seen of an action at a server's socket.
var found = map[string]func(fd int) bool{
	"nagle": func(fd int) bool {
		v, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY)
		return err == nil && v == 0
	},
	"nodelay": func(fd int) bool {
		v, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY)
		return err == nil && v != 0
	},
	"linger":   func(fd int) bool { return lingers(fd, 7) },
	"reset":    func(fd int) bool { return lingers(fd, 0) },
	"shutdown": func(fd int) bool { c, err := cbox.Counters(fd); return err == nil && c.State == mtcp.FinWait2 },
}

func lingers(fd int, sec int32) bool {
	l, err := unix.GetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER)
	return err == nil && *l == unix.Linger{Onoff: 1, Linger: sec}
}

// Each action of a server is there where its session has gone, by each of the ways, whether
// the next process has an export behind it (over IPv6 here) or repeats it; and bytes that
// are not out when a server closes go out where the session is, and the end behind them.
func TestActionsMove(t *testing.T) {
	type moving struct {
		by, action string
		exports    bool
	}
	var all []moving
	for _, by := range ways {
		for _, action := range []string{"nagle", "nodelay", "linger", "reset", "shutdown", "close"} {
			all = append(all, moving{by, action, false}, moving{by, action, true})
		}
	}
	for _, c := range drawn(all, 14) {
		t.Run(fmt.Sprintf("%s %s exports %t", c.by, c.action, c.exports), func(t *testing.T) {
			w, move := newWay(t, c.by, c.exports, true)
			w.actionMoves(c.action, c.exports, move)
		})
	}
}

func (w *world) actionMoves(action string, exports bool, move func() error) {
	t := w.t
	w.client.Sysctl("net/ipv4/tcp_rmem", "4096 16384 16384")
	s1, s2 := w.sites["s1"], w.sites["s2"]
	first, next := s1.startAs("act"), s2.startAs("act")
	client := w.dialHalf()
	request := action
	if exports {
		request += "!"
	}
	client.says(fmt.Sprintf("%-16s", request))
	closes := action == "close"
	s1.await("the action", func() bool {
		if closes {
			return strings.Contains(first.log.String(), "rest") && len(s1.ls()) == 1
		}
		return first.hasSocket(t, client.port(), found[action])
	})
	if err := move(); err != nil {
		t.Fatal(err)
	}
	if !closes {
		s2.await("the action", func() bool { return next.hasSocket(t, s2.peer(), found[action]) })
		client.says("go")
	}
	if got, err := io.ReadAll(client); !ends[action](got, err) {
		t.Errorf("the client got %d bytes, %.9q, %v", len(got), got, err)
	}
	if action == "shutdown" {
		s2.await("the refused word", func() bool { return strings.Contains(next.log.String(), "broken pipe") })
	}
	_ = client.Close()
	s2.await("the session's end", func() bool { return len(s1.ls())+len(s2.ls()) == 0 })
}

// hasSocket looks at a process's socket that is connected to a port, if there is one.
func (p *process) hasSocket(t *testing.T, peer int, is func(fd int) bool) bool {
	t.Helper()
	pidfd, err := unix.PidfdOpen(p.Process.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	all, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		n, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			t.Fatal(err)
		}
		fd, err := unix.PidfdGetfd(pidfd, n, 0)
		if err != nil {
			continue // it is closed by now
		}
		_, remote, err := sockaddr.Ends(fd)
		seen := err == nil && int(remote.Port()) == peer && is(fd)
		_ = unix.Close(fd)
		if seen {
			return true
		}
	}
	return false
}
