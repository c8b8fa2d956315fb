// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"lazystate/mtcp"
)

// An address does not go while one of its sessions may have to come back to it: the
// client has asked S2, which died, and will stay. The others stay as well.
func TestTakeoverWaitsForNobody(t *testing.T) {
	w := (&world{t: t, names: []string{"s1", "s2", "s3"}}).build(false)
	a := w.agent("--patience", hang.String())
	w.sites["s2"].killedAt("after restore")
	one := w.idle()
	l, s1, s2 := a.flow(), w.sites["s1"], w.sites["s2"]
	other := w.idle()
	s1.await("both", func() bool { return len(s1.ls()) == 2 })
	died := s2.scd.ended()
	moved := make(chan error, 1)
	go func() { // S2 may not know yet where the address is
		for {
			err := a.move(l, own(1, false))
			select {
			case <-died:
				moved <- err
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	s2.scd.died(t)
	if err := s1.ctl("move", "--to", "s3", w.addr.String()); err == nil || !strings.Contains(err.Error(), "it is being moved already") {
		t.Errorf("the address: %v", err)
	}
	if n := len(s1.ls()); n != 2 || !w.has("s1") {
		t.Errorf("s1 has %d sessions, the address is there: %t", n, w.has("s1"))
	}
	s2.startSCD()
	one()
	other()
	t.Logf("the client's move: %v", <-moved)
}

// Connections that are over do not keep an address from going, and have nothing
// that could go along: what they left to read is read here, with the end behind it.
func TestTakeoverLeavesWhatIsOver(t *testing.T) {
	w := newWorld(t, false)
	s1, s2 := w.sites["s1"], w.sites["s2"]
	finish, over := w.idle(), w.dial()
	if _, err := over.Write([]byte("GET /1")); err != nil {
		t.Fatal(err)
	}
	s1.await("both", func() bool { return len(s1.ls()) == 2 })
	s1.web.stop(t) // so that it does not notice
	if err := over.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	gone := over.LocalAddr().(*net.TCPAddr).Port
	over.Close()
	s1.await("the client's reset", func() bool { return !s1.talksTo(gone) })
	if m := w.move(); m.Sessions != 1 {
		t.Errorf("%+v", m)
	}
	if here, there := len(s1.ls()), len(s2.ls()); here != 1 || there != 1 {
		t.Errorf("%d are here, %d there", here, there)
	}
	if err := s1.web.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s1.await("the end of the one that was over", func() bool { return len(s1.ls()) == 0 })
	finish()
	s2.await("the end of the other", func() bool { return len(s2.ls()) == 0 })
}

// talksTo reports whether a site's kernel has a connection of the service to a
// port of the client.
func (s *site) talksTo(peer int) bool {
	s.t.Helper()
	return s.stateOf(port, peer) != 0
}

// stateOf is the state of a service's connection to a port of the client; 0: a site's
// kernel has none.
func (s *site) stateOf(port, peer int) (is mtcp.State) {
	s.t.Helper()
	s.Do(func() error {
		for _, f := range []string{"tcp", "tcp6"} {
			b, err := os.ReadFile("/proc/thread-self/net/" + f)
			if err != nil {
				return err
			}
			for line := range strings.Lines(string(b)) {
				c := strings.Fields(line)
				if !strings.HasSuffix(c[1], fmt.Sprintf(":%04X", port)) || !strings.HasSuffix(c[2], fmt.Sprintf(":%04X", peer)) {
					continue
				}
				if _, err := fmt.Sscanf(c[3], "%X", &is); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return is
}

// What nobody keeps has no part in it: the address goes from under a connection of
// another program, whose client is told so by its next word.
func TestTakeoverCutsWhatNobodyKeeps(t *testing.T) {
	w := newWorld(t, false)
	s1 := w.sites["s1"]
	finish := w.idle()
	s1.await("the session", func() bool { return len(s1.ls()) == 1 })
	var l net.Listener
	s1.Do(func() (err error) {
		l, err = net.Listen("tcp", netip.AddrPortFrom(w.addr, port+1).String())
		return err
	})
	defer l.Close()
	stranger := w.dialPort(port + 1)
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if m := w.move(); m.Sessions != 1 {
		t.Errorf("%+v", m)
	}
	if _, err := stranger.Write([]byte("is anybody there?")); err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the stranger's client: %v", err)
	}
	finish()
}

// Whoever waits in a listener's queue, for the server's process does not accept, goes along
// with the address: a new session, with what has been said already.
func TestQueueMoves(t *testing.T) {
	w := newWorld(t, false)
	s1, s2 := w.sites["s1"], w.sites["s2"]
	finish := w.idle()
	w.only()
	s1.web.stop(t)
	waits := w.hesitates()
	s1.await("who waits", func() bool { return s1.talksTo(waits.LocalAddr().(*net.TCPAddr).Port) })
	if n := len(s1.ls()); n != 1 {
		t.Fatalf("%d sessions: somebody has accepted it", n)
	}
	if m := w.move(); m.Sessions != 2 {
		t.Errorf("%+v", m)
	}
	if err := s1.web.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	waits.finish()
	finish()
	s2.await("the end of both", func() bool { return len(s2.ls()) == 0 })
	if s1.served() {
		t.Error("s1 has served one of them")
	}
}
