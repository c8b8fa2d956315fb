// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"lazystate/mtcp"
)

// closing is a connection of which an end has begun to close.
type closing struct {
	at      mtcp.State // its server
	request string
	answer  int        // in KiB
	reads   bool       // the client has the answer, and its end
	shuts   mtcp.State // of the server when the client closed its sending half; 0: it has not
}

// closings are all that can move (§2.5.3). A FIN is not out while what is before it does not
// fit into the client.
var closings = []closing{
	{mtcp.FinWait1, "0032", 32, false, 0},
	{mtcp.FinWait2, "0000", 0, true, 0},
	{mtcp.Closing, "0032", 32, false, mtcp.FinWait1},
	{mtcp.CloseWait, "z900", 900, false, mtcp.Established},
	{mtcp.LastAck, "z032", 32, false, mtcp.Established},
}

// What is half closed moves by each of the ways, and is what it was: what an end has not
// closed goes on, and each gets all that the other had to say, and the end behind it.
func TestClosingSessionsMove(t *testing.T) {
	for _, by := range ways {
		for _, c := range closings {
			for _, v6 := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %s v6 %t", by, c.at, v6), func(t *testing.T) {
					w, move := newWay(t, by, v6, true)
					c.moves(w, move)
				})
			}
		}
	}
}

func (c closing) moves(w *world, move func() error) {
	t := w.t
	w.client.Sysctl("net/ipv4/tcp_rmem", "4096 16384 16384")
	s1, s2 := w.sites["s1"], w.sites["s2"]
	first := s1.startHalf("SCD_STAYS=1")
	client := w.dialHalf()
	client.says(c.request)
	if c.reads {
		client.hears(c.answer)
	}
	if c.shuts != 0 {
		s1.await(c.shuts.String(), func() bool { return s1.stateOf(halfPort, client.port()) == c.shuts })
		client.ends()
	}
	s1.await(c.at.String(), func() bool { return s1.stateOf(halfPort, client.port()) == c.at })
	w.only()
	if err := move(); err != nil {
		t.Fatal(err)
	}
	s2.await(c.at.String(), func() bool { return s2.stateOf(halfPort, s2.peer()) == c.at })
	next := s2.startHalf() // it would close what is not closed
	if !c.reads {
		client.hears(c.answer)
	}
	if c.shuts == 0 {
		client.ends()
	}
	w.halfEnds(next, first)
}

// peer is the port of the one session's client, as the site sees it: an agent's sessions
// have another for each server.
func (s *site) peer() int {
	s.t.Helper()
	var all []session
	s.await("a session", func() bool { all = s.ls(); return len(all) == 1 })
	at, err := netip.ParseAddrPort(all[0].Remote)
	if err != nil {
		s.t.Fatal(err)
	}
	return int(at.Port())
}

// halfEnds waits until a server has had the rest of the one session, which is no more then;
// another has not.
func (w *world) halfEnds(server, other *process) {
	w.t.Helper()
	s2 := w.sites["s2"]
	s2.await("the rest", func() bool { return strings.Contains(server.log.String(), `rest "456789", <nil>, <nil>`) })
	for _, s := range w.sites {
		s.await("the session's end", func() bool { return len(s.ls()) == 0 })
	}
	if log := other.log.String(); strings.Contains(log, `rest "4`) {
		w.t.Errorf("the other server has it, too: %s", log)
	}
}

// halfClient is one of the service that closes its half first, or last.
type halfClient struct {
	*net.TCPConn
	t *testing.T
}

func (w *world) dialHalf() halfClient {
	w.t.Helper()
	return halfClient{w.dialPort(halfPort).(*net.TCPConn), w.t}
}

func (c halfClient) port() int { return c.LocalAddr().(*net.TCPAddr).Port }

func (c halfClient) says(what string) {
	c.t.Helper()
	if _, err := io.WriteString(c, what); err != nil {
		c.t.Fatal(err)
	}
}

// ends says the rest.
func (c halfClient) ends() {
	c.t.Helper()
	c.says("456789")
	if err := c.CloseWrite(); err != nil {
		c.t.Fatal(err)
	}
}

// hears reads an answer to its end.
func (c halfClient) hears(kib int) {
	c.t.Helper()
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, halfAnswer(kib)) {
		c.t.Fatalf("the client got %d bytes of %d, %.9q, %v", len(got), 5+kib<<10, got, err)
	}
}

// An end closes, or both do, while the client is MIGRATING: S2 is asked and does not answer
// yet. Neither FIN passes: the client's is S2's to have, and S1's is said again by S2.
func TestClosesWhileMigrating(t *testing.T) {
	for _, c := range []struct{ server, client bool }{{true, false}, {false, true}, {true, true}} {
		for _, v6 := range []bool{false, true} {
			t.Run(fmt.Sprintf("server %t client %t v6 %t", c.server, c.client, v6), func(t *testing.T) { closesWhileMigrating(t, c.server, c.client, v6) })
		}
	}
}

func closesWhileMigrating(t *testing.T, server, client, v6 bool) {
	w := (&world{t: t, names: []string{"s1", "s2"}, half: true, more: s1Elsewhere}).build(false)
	w.addr = own(0, v6).Addr()
	a := w.agent("--patience", hang.String())
	s1, s2 := w.sites["s1"], w.sites["s2"]
	first, next := s1.startHalf(), s2.startHalf()
	c := w.dialHalf()
	l := a.flow()
	if server {
		first.stop(t)
		c.says("0000")
	} else {
		c.says("z000")
	}
	moved := make(chan error, 1)
	go func() { moved <- a.move(l, netip.AddrPortFrom(own(1, v6).Addr(), halfPort)) }()
	s2.await("the client's request", func() bool { return strings.Contains(s2.scd.log.String(), "not answered yet") })
	at := mtcp.Established
	if server {
		at = mtcp.FinWait1
		if err := first.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	if client {
		c.ends()
	}
	s1.await(at.String(), func() bool { return s1.stateOf(halfPort, c.port()) == at })
	if all := a.connections(); len(all) != 1 || !all[0].Moving {
		t.Fatalf("it is not MIGRATING: %+v", all)
	}
	s1.Addr(s1sOther)
	if err := <-moved; err != nil {
		t.Fatal(err)
	}
	if server {
		c.hears(0)
	}
	if !client {
		c.ends()
	}
	if !server {
		c.hears(0)
	}
	w.halfEnds(next, first)
}
