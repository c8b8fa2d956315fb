// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/seqnum"
	"lazystate/mtcp"
	"lazystate/mtcp/party"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/wire"
)

// clientMove is one move of a connection, as its client sees it.
type clientMove struct {
	*runner
	a       *Agent
	s       *clientSession
	f       steer.Flow
	party   *party.Client
	servers []netip.AddrPort // that are left
	done    chan struct{}
	outcome chan error    // of Move, once
	known   bool          // it is; Agent.mu
	start   time.Time     // of the last attempt
	waited  time.Duration // from start to the switch

	mu       sync.Mutex // of what the agent's goroutine looks at
	to       steer.Flow // on the wire, to the server that is asked
	port     int        // descriptor that keeps its port; 0: none, or the session has it
	old      steer.Flow // on the wire, to the server that has it
	began    steer.Numbers
	reply    *wire.MigrateReply
	shown    wire.Segment // the ACK
	switched bool
}

func (m *clientMove) carry(e party.Effect) error {
	switch e.Do {
	case party.Send:
		err := m.send(e.Msg)
		if e.Msg == party.Stay && len(m.servers) == 0 { // that is repeated for whoever has not heard it
			m.settle(e.Why)
		}
		if err != nil && e.Msg == party.Request { // there is no way to the server
			m.tell(m.a.ctx, party.Event{Kind: party.Refuse, Why: err.Error()})
		}
		return err
	case party.Begin:
		return m.begin()
	case party.Switch:
		return m.doSwitch()
	case party.FallBack:
		return m.fallBack()
	case party.Return:
		return m.goBack()
	case party.Seek:
		return m.seek()
	case party.Follow:
		return m.follow()
	}
	return fmt.Errorf("%s at the client", e)
}

// begin makes it MIGRATING. The port towards S2 is one that no other connection
// of this client can have.
func (m *clientMove) begin() error {
	m.start = time.Now()
	server := m.servers[0]
	m.servers = m.servers[1:]
	old := m.f
	if s, err := m.a.steer.Session(m.f); err == nil {
		old = s.Wire
	}
	if server == m.s.at {
		return errors.New("it is there already")
	}
	local, fd, err := m.reserve(server)
	if err != nil {
		return err
	}
	m.noted(&moveNote{to: steer.Flow{Local: local, Remote: server}, old: old})
	n, err := m.try(server, local)
	if err != nil {
		unix.Close(fd)
		return err
	}
	m.mu.Lock()
	m.to, m.port, m.old, m.began, m.reply = steer.Flow{Local: local, Remote: server}, fd, old, n, nil
	m.mu.Unlock()
	m.a.mu.Lock()
	m.a.asked[m.to] = m
	m.a.mu.Unlock()
	return nil
}

// try makes it MIGRATING for no longer than a server is asked.
func (m *clientMove) try(server, local netip.AddrPort) (steer.Numbers, error) {
	return m.a.steer.Begin(m.f, steer.Try{Server: server, Local: local, For: m.a.timing.Retry * time.Duration(m.a.timing.Tries+2)})
}

// reserve finds a port with which this attempt cannot be taken for the last one, nor for
// that by which a server may have the session that was given up.
func (m *clientMove) reserve(server netip.AddrPort) (netip.AddrPort, int, error) {
	for {
		local, fd, err := steer.ReservePort(netip.AddrPortFrom(m.f.Local.Addr(), 0))
		if err != nil || m.tells(attempt(local, server)) {
			return local, fd, err
		}
		unix.Close(fd)
	}
}

// tells reports whether the end of an attempt with this number says nothing of others.
func (m *clientMove) tells(n uint8) bool {
	m.a.mu.Lock()
	defer m.a.mu.Unlock()
	if g := m.s.given; g != nil && n == attempt(g.to.Local, g.to.Remote) {
		return false
	}
	return !m.to.Local.IsValid() || n != attempt(m.to.Local, m.to.Remote)
}

// noted says what the next agent has to know, should this one die over it.
func (m *clientMove) noted(n *moveNote) {
	m.a.mu.Lock()
	defer m.a.mu.Unlock()
	m.s.note = n
	if m.a.sessions[m.f] == m.s {
		m.a.remember(m.f, m.s)
	}
}

func (m *clientMove) send(k party.Kind) error {
	var seg wire.Segment
	var err error
	switch k {
	case party.Request:
		seg = wire.Segment{Src: m.to.Local, Dst: m.to.Remote, Seq: m.began.SndNxt - 1, Flags: wire.SYN, Window: 65535}
		seg.Options, err = wire.AppendSYN(nil, wire.MigrateRequest{Next: m.began.RcvNxt, Server: wire.ServerID(m.s.at), Cert: m.s.cert}, shownMSS)
	case party.Ack:
		seg = m.shown
	case party.Stay:
		seg = wire.Segment{Src: m.old.Local, Dst: m.old.Remote, Seq: m.began.SndNxt, Ack: m.began.RcvNxt, Flags: wire.ACK, Window: 65535}
		seg.Options, err = wire.Append(nil, wire.MigrateRefuse{N: attempt(m.to.Local, m.to.Remote), Reason: wire.ReasonStays, Cert: m.s.cert})
	default:
		return fmt.Errorf("%s at the client", k)
	}
	if err != nil {
		return err
	}
	return m.a.sender.Send(seg)
}

// replied notes a reply whose numbers can be true; others are somebody else's.
func (m *clientMove) replied(o wire.MigrateReply, seg wire.Segment) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if seg.Flags&(wire.SYN|wire.ACK) != wire.SYN|wire.ACK || seg.Ack != m.began.SndNxt {
		return false
	}
	if m.switched {
		return *m.reply == o
	}
	n, err := m.a.steer.Query(m.f)
	if err != nil {
		return false
	}
	half := mtcp.Half{Una: m.began.SndUna, Nxt: n.SndNxt, RcvNxt: n.RcvNxt}
	if _, _, err := half.OnReply(mtcp.Reply{LSRC: o.LSRC, ImplicitAck: o.ImplicitAck}); err != nil {
		m.a.log.Warn("a reply that cannot be true", "flow", m.f, "err", err)
		return false
	}
	m.reply = &o
	return true
}

// ordinary ends a connection that a server took our SYN to begin.
func (m *clientMove) ordinary(seg wire.Segment) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.switched {
		return false
	}
	if err := m.a.sender.Send(wire.Segment{Src: m.to.Local, Dst: m.to.Remote, Seq: seg.Ack, Flags: wire.RST}); err != nil {
		m.a.log.Debug("reset", "err", err)
	}
	return true
}

// doSwitch leaves S1: from here on there is no way back.
func (m *clientMove) doSwitch() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	reply := *m.reply
	m.noted(&moveNote{to: m.to, old: m.old, sndNxt: m.began.SndNxt, reply: &reply})
	n, err := m.a.steer.Switch(m.f, steer.Shift{})
	if err != nil {
		if s, look := m.a.steer.Session(m.f); look != nil || s.State == steer.Migrating || s.State == steer.Off || s.Wire == m.old {
			return err
		}
		if n, err = m.a.steer.Known(m.f); err != nil { // it is left, though what follows failed
			return err
		}
	}
	m.forget() // S1 has given it away anew, so that one has it not
	return m.hasLeft(n.RcvNxt)
}

// hasLeft: the session is S2's, if it is anybody's; next is what the client has of S1.
func (m *clientMove) hasLeft(next seqnum.Value) error {
	m.switched, m.waited = true, time.Since(m.start)
	if err := m.show(next); err != nil {
		return err
	}
	f, done := m.to, m.done
	m.a.tasks.Go(func() { m.listen(f, done) })
	return nil
}

// show makes the ACK that says what the client has, which S1 knows a part of: less can be
// known here (steer.Agent.Known).
func (m *clientMove) show(next seqnum.Value) (err error) {
	next = seqnum.Max(next, m.reply.LSRC)
	m.shown = wire.Segment{Src: m.to.Local, Dst: m.to.Remote, Seq: m.began.SndNxt, Ack: m.reply.LSRC, Flags: wire.ACK, Window: 65535}
	m.shown.Options, err = wire.Append(nil, wire.RcvdWhileMigrating{Delta: m.reply.LSRC.Size(next)})
	return err
}

// watchEvery is how often the kernel is asked whether S2 has spoken.
const watchEvery = 2 * time.Millisecond

// listen waits for S2's first word, or for the attempt's end.
func (m *clientMove) listen(f steer.Flow, done <-chan struct{}) {
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			switch s, err := m.a.steer.Session(m.f); {
			case err != nil:
				m.tell(m.a.ctx, party.Event{Kind: party.Gone})
				return
			case s.Wire != f:
				return // it has gone back
			case s.State == steer.Moved:
				m.tell(m.a.ctx, party.Event{Kind: party.Opened})
				return
			}
		case <-done:
			return
		case <-m.a.ctx.Done():
			return
		}
	}
}

func (m *clientMove) fallBack() error {
	m.release()
	err := m.a.steer.FallBack(m.f)
	if _, gone := m.a.steer.Session(m.f); errors.Is(gone, steer.ErrNoSession) { // and its flows
		m.a.mu.Lock()
		m.s.freePorts()
		m.a.mu.Unlock()
	}
	return err
}

// goBack leaves a server that it has switched to and that has refused.
func (m *clientMove) goBack() error {
	m.mu.Lock()
	m.switched = false
	m.mu.Unlock()
	m.release()
	m.forget()
	return m.a.steer.Return(m.f, m.old)
}

// refused is MIGRATE_REFUSE on a RST of S2: once S1 was left it has to show that
// whoever says it has seen what was said.
func (m *clientMove) refused(o wire.MigrateRefuse, seg wire.Segment) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.switched || o.Cert.Equal(m.s.cert) || seg.Ack == m.shown.Seq+1
}

// release ends the asking of a server; the flow to it stays a black hole.
func (m *clientMove) release() {
	m.a.mu.Lock()
	defer m.a.mu.Unlock()
	if m.a.asked[m.to] == m {
		delete(m.a.asked, m.to)
	}
	m.s.keepPort(m.to.Local, m.port)
	m.port = 0
}

// settle has Move return, at once or when it is called.
func (m *clientMove) settle(why string) {
	m.a.mu.Lock()
	defer m.a.mu.Unlock()
	if m.known {
		return
	}
	m.known = true
	if why == "" {
		m.outcome <- nil
	} else {
		m.outcome <- fmt.Errorf("move %s: %s (%s)", m.f, why, m.party.State())
	}
}

func (m *clientMove) ended(why string) {
	m.release()
	m.a.mu.Lock()
	m.s.moving = nil
	if m.party.State() == party.Arrived {
		m.s.arrived(&moveNote{to: m.to, reply: m.reply})
	}
	m.s.note = nil
	if m.a.sessions[m.f] == m.s {
		m.a.remember(m.f, m.s)
	} else { // its ends are another connection's by now
		m.s.freePorts()
	}
	m.a.mu.Unlock()
	m.settle(why)
	m.a.log.Info("a move has ended", "flow", m.f, "state", m.party.State(), "why", why, "waited", m.waited)
	close(m.done)
}
