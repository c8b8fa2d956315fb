// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/netrig"
	"lazystate/internal/seqnum"
	"lazystate/mtcp/tcprepair"
	"lazystate/mtcp/wire"
)

// site is a server that a session can be at.
type site struct {
	*netrig.Host
	addr  netip.AddrPort
	srv   *Server
	stack *tcprepair.Stack
	out   *Sender
}

func newSite(t *testing.T, h *netrig.Host, addr netip.AddrPort) *site {
	t.Helper()
	s := &site{Host: h, addr: addr, out: sender(t, h)}
	s.srv = serve(t, h, Service{Listen: addr, Takes: true})
	h.Do(func() (err error) { s.stack, err = tcprepair.Open(); return err })
	t.Cleanup(s.stack.Close)
	return s
}

// pattern is the byte at an offset of either stream.
func pattern(off int) byte { return byte(off*2654435761>>7 ^ off) }

// app is a server application that reads and writes patterns; mu is held while
// its socket moves.
type app struct {
	mu         sync.Mutex
	fd         int
	read, sent int
	total      int
}

// step reads and writes what there is, and reports whether all is done.
func (a *app) step(buf []byte) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := min(len(buf), a.total-a.sent); n > 0 {
		for i := range buf[:n] {
			buf[i] = pattern(a.sent + i)
		}
		n, err := unix.Write(a.fd, buf[:n])
		if err == nil {
			a.sent += n
		} else if !errors.Is(err, unix.EAGAIN) {
			return false, fmt.Errorf("server writes at %d: %w", a.sent, err)
		}
	}
	n, err := unix.Read(a.fd, buf)
	if n == 0 && a.read < a.total {
		err = errors.New("end of stream")
	}
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		return false, fmt.Errorf("server reads at %d: %w", a.read, err)
	}
	for i := range max(n, 0) {
		if buf[i] != pattern(a.read+i) {
			return false, fmt.Errorf("server got another byte at %d", a.read+i)
		}
	}
	a.read += max(n, 0)
	return a.sent == a.total && a.read == a.total, nil
}

func (a *app) run() error {
	buf := make([]byte, 1<<14)
	for {
		done, err := a.step(buf)
		if done || err != nil {
			return err
		}
		time.Sleep(50 * time.Microsecond)
	}
}

// clientApp does the same over an ordinary connection that knows nothing, and
// returns its longest wait for bytes.
func clientApp(c *net.TCPConn, total int) (gap time.Duration, err error) {
	wrote := make(chan error, 1)
	go func() {
		buf := make([]byte, 1<<14)
		for off := 0; off < total; off += len(buf) {
			for i := range buf {
				buf[i] = pattern(off + i)
			}
			if _, err := c.Write(buf); err != nil {
				wrote <- fmt.Errorf("client writes at %d: %w", off, err)
				return
			}
		}
		wrote <- nil
	}()
	buf, last := make([]byte, 1<<16), time.Now()
	for off := 0; off < total; {
		n, err := c.Read(buf)
		if err != nil {
			return gap, fmt.Errorf("client reads at %d: %w", off, err)
		}
		for i := range n {
			if buf[i] != pattern(off+i) {
				return gap, fmt.Errorf("client got another byte at %d", off+i)
			}
		}
		off += n
		gap, last = max(gap, time.Since(last)), time.Now()
	}
	return gap, <-wrote
}

// trip is one session that moves.
type trip struct {
	t      *testing.T
	client *netrig.Host
	agent  *Agent
	out    *Sender
	f      Flow // as the client has it
	peer   Flow // as the server has it: a translator may be between
	at     *site
	app    *app
}

// request asks a server for the session and returns from where, and what the
// server is told.
func (r *trip) request(to *site) (from netip.AddrPort, e Event) {
	r.t.Helper()
	var num Numbers
	r.client.Do(func() (err error) {
		if from, _, err = ReservePort(netip.AddrPortFrom(r.f.Local.Addr(), 0)); err == nil {
			num, err = r.agent.Begin(r.f, Try{Server: to.addr, Local: from, For: hang})
		}
		if err != nil {
			return err
		}
		syn := wire.Segment{Src: from, Dst: to.addr, Seq: num.SndNxt - 1, Flags: wire.SYN, Window: 65535}
		syn.Options, _ = wire.AppendSYN(nil, wire.MigrateRequest{Next: num.RcvNxt, Server: wire.ServerID(r.at.addr)}, 1400)
		return r.out.Send(syn)
	})
	return from, event(r.t, to.srv.source, Option)
}

// move is §2.5.2 with the test as agent and both daemons.
func (r *trip) move(to *site) {
	r.t.Helper()
	from, e := r.request(to)
	req := e.Segment.Migration().(wire.MigrateRequest)
	r.app.mu.Lock()
	defer r.app.mu.Unlock()
	var frozen *tcprepair.Frozen
	var dump *tcprepair.Dump
	old := r.peer
	r.at.Do(func() (err error) {
		if err = r.at.srv.Hold(old, Deaf, 0); err != nil {
			return err
		}
		if frozen, err = r.at.stack.Freeze(r.app.fd); err == nil {
			dump, err = frozen.Dump()
		}
		return err
	})
	reply := wire.MigrateReply{LSRC: seqnum.Max(req.Next, dump.Una), ImplicitAck: dump.RcvNxt}
	to.Do(func() error {
		if err := to.srv.Hold(e.Flow, Early, hang); err != nil {
			return err
		}
		synack := wire.Segment{Src: to.addr, Dst: e.Flow.Remote, Seq: reply.LSRC - 1, Ack: e.Segment.Seq + 1, Flags: wire.SYN | wire.ACK, Window: 65535}
		synack.Options, _ = wire.AppendSYN(nil, reply, 1400)
		return to.out.Send(synack)
	})
	delta := r.accept(to, from, e.Segment.Seq+1)
	dump.Una = reply.LSRC.Add(delta)
	dump.Out = dump.Out[len(dump.Out)-int(dump.Una.Size(dump.Write)):]
	dump.Local, dump.Remote = to.addr, e.Flow.Remote
	dump.Resend()
	to.Do(func() error {
		restored, err := to.stack.Restore(dump)
		if err != nil {
			return err
		}
		arrived := wire.Segment{Src: to.addr, Dst: e.Flow.Remote, Seq: dump.Una, Ack: e.Segment.Seq + 1, Flags: wire.ACK, Window: 65535}
		arrived.Options, _ = wire.Append(nil, wire.MigrateArrived{})
		if err := errors.Join(to.srv.Release(e.Flow), to.out.Send(arrived), restored.Live()); err != nil {
			return err
		}
		r.app.fd, err = restored.Take()
		return err
	})
	r.arrived()
	r.at.Do(func() error { return errors.Join(frozen.Discard(), r.at.srv.Release(old)) })
	r.at, r.peer = to, e.Flow
}

// accept is the end of the handshake, from the SYN+ACK on.
func (r *trip) accept(to *site, from netip.AddrPort, seq seqnum.Value) seqnum.Size {
	r.t.Helper()
	reply := event(r.t, r.agent.source, Next).Segment.Migration().(wire.MigrateReply)
	r.client.Do(func() error {
		num, err := r.agent.Switch(r.f, Shift{})
		if err != nil {
			return err
		}
		ack := wire.Segment{Src: from, Dst: to.addr, Seq: seq, Ack: reply.LSRC, Flags: wire.ACK, Window: 65535}
		// The server knows a part of what the client has; less can be known here (Known).
		ack.Options, _ = wire.Append(nil, wire.RcvdWhileMigrating{Delta: reply.LSRC.Size(seqnum.Max(num.RcvNxt, reply.LSRC))})
		return r.out.Send(ack)
	})
	return event(r.t, to.srv.source, Option).Segment.Migration().(wire.RcvdWhileMigrating).Delta
}

// arrived waits for MOVED.
func (r *trip) arrived() {
	r.t.Helper()
	for end := time.Now().Add(hang); ; time.Sleep(100 * time.Microsecond) {
		s, err := r.agent.Session(r.f)
		if err != nil || time.Now().After(end) {
			r.t.Fatalf("not moved: %+v, %v", s, err)
		}
		if s.State == Moved {
			return
		}
	}
}

// A client downloads and uploads at once while its session goes back and forth
// between two servers: each byte arrives once and in order at both ends.
func TestSessionMovesUnderTraffic(t *testing.T) {
	t.Run("v4", func(t *testing.T) { newNet3(t).underTraffic(t, clientV4, s1V4, s2V4, 16<<20, 6) })
	t.Run("v6", func(t *testing.T) { newNet3(t).underTraffic(t, clientV6, s1V6, s2V6, 16<<20, 6) })
}

// newApp takes a server's connection over.
func newApp(t *testing.T, s *net.TCPConn, total int) *app {
	t.Helper()
	a := &app{total: total}
	raw, err := s.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if e := raw.Control(func(fd uintptr) { a.fd, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	s.Close() // the duplicate keeps the connection
	return a
}

// run starts both applications.
func (r *trip) run(c *net.TCPConn) <-chan error {
	done := make(chan error, 2)
	go func() { done <- r.app.run() }()
	go func() {
		gap, err := clientApp(c, r.app.total)
		r.t.Logf("longest wait of the client %s", gap)
		done <- err
	}()
	return done
}

func (n net3) underTraffic(t *testing.T, client, s1, s2 netip.Addr, total, hops int) *trip {
	sites := []*site{newSite(t, n.s1, netip.AddrPortFrom(s1, 80)), newSite(t, n.s2, netip.AddrPortFrom(s2, 8080))}
	agent := n.open(t, Auto)
	c, s := connect(t, n.client, n.s1, client, sites[0].addr)
	r := &trip{t: t, client: n.client, agent: agent, out: sender(t, n.client), f: flowOfConn(c), peer: flowOfConn(s), at: sites[0], app: newApp(t, s, total)}
	done := r.run(c)
	for i := range hops {
		time.Sleep(20 * time.Millisecond)
		r.move(sites[(i+1)%2])
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	unix.Close(r.app.fd)
	st, err := agent.Stats()
	t.Logf("%+v", st)
	if err != nil || st.Opened != uint64(hops) || st.Refused != 0 {
		t.Errorf("%+v, %v", st, err)
	}
	return r
}
