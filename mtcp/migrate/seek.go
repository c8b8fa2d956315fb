// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"
	"time"

	"lazystate/mtcp/party"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/wire"
)

// forget: no server that was given up has the session.
func (m *clientMove) forget() {
	m.a.mu.Lock()
	defer m.a.mu.Unlock()
	m.s.given = nil
}

// seek leaves a server that it has switched to and that is silent. It may have the session
// for all that; S1 knows, or will, and is asked.
func (m *clientMove) seek() error {
	m.mu.Lock()
	m.switched = false
	g := &moveNote{to: m.to, old: m.old, sndNxt: m.began.SndNxt, reply: m.reply}
	m.mu.Unlock()
	m.release()
	m.a.mu.Lock()
	m.s.given = g
	m.a.mu.Unlock()
	m.noted(nil)
	err := m.a.steer.Return(m.f, m.old)
	m.a.tasks.Go(func() { m.a.seek(m.f, m.s, g) })
	return err
}

// seekEvery is how often S1 is asked, in Timing.Retry.
const seekEvery = 5

// seek asks S1 where a session is until it is known, or nobody knows any more.
func (a *Agent) seek(f steer.Flow, s *clientSession, g *moveNote) {
	t := time.NewTicker(seekEvery * a.timing.Retry)
	defer t.Stop()
	before, err := a.steer.Query(f)
	for late := time.After(2 * a.timing.Doubt); err == nil && a.seeks(f, s, g, before); {
		select {
		case <-t.C:
		case <-late:
			return
		case <-a.ctx.Done():
			return
		}
	}
}

// seeks asks once, if the session is with nobody, and reports whether to ask again.
func (a *Agent) seeks(f steer.Flow, s *clientSession, g *moveNote, before steer.Numbers) bool {
	now, err := a.steer.Query(f)
	if errors.Is(err, steer.ErrNoSocket) {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.sessions[f] != s || s.given != g:
		return false
	case s.moving != nil || err != nil || a.stuck(f, s, g):
		return true
	case s.given == nil: // it was heard after all
		return false
	case now.Received != before.Received || now.SndUna != before.SndUna: // it is S1 that has it
		s.given = nil
		a.remember(f, s)
		return false
	}
	seg := wire.Segment{Src: g.old.Local, Dst: g.old.Remote, Seq: now.SndNxt, Ack: now.RcvNxt, Flags: wire.ACK, Window: 65535}
	if seg.Options, err = wire.Append(nil, wire.MigrateWhere{Cert: s.cert}); err == nil {
		err = a.sender.Send(seg)
	}
	if err != nil {
		a.log.Debug("ask where a session is", "flow", f, "err", err)
	}
	return true
}

// stuck reports a session that could not go back, for there was no way to S1 when it was
// to: the network was down. It is tried again, unless the silent server has been heard.
// Agent.mu is held.
func (a *Agent) stuck(f steer.Flow, s *clientSession, g *moveNote) bool {
	switch k, err := a.steer.Session(f); {
	case err != nil || k.Wire != g.to:
		return false
	case k.State == steer.Moved:
		s.arrived(g)
		a.remember(f, s)
		return false
	}
	err := a.steer.Return(f, g.old)
	if err != nil {
		a.quiet.Warn("a connection cannot go back", "flow", f, "err", err)
	}
	return err != nil
}

// follow is S1's word that a session is where it was taken, in answer to seek.
func (a *Agent) follow(f steer.Flow, o wire.MigrateAdvise) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.sessions[f]
	if s == nil || !s.cert.Equal(o.Cert) || s.given == nil || s.moving != nil {
		return
	}
	g := s.given
	a.log.Info("a session is with the server that was silent", "flow", f, "server", g.to.Remote)
	m := &clientMove{a: a, s: s, f: f, done: make(chan struct{}), outcome: make(chan error, 1), start: time.Now(), to: g.to, old: g.old, reply: g.reply}
	m.began.SndNxt = g.sndNxt
	m.party = party.FollowClient(a.timing)
	a.asked[m.to] = m
	a.launch(m)
	m.mention(party.Event{Kind: party.Start})
}

// follow leaves S1 once more. Nothing has come from there meanwhile, so what is said to S2
// is what it was told.
func (m *clientMove) follow() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.try(m.to.Remote, m.to.Local); err != nil {
		return err
	}
	n, err := m.a.steer.Switch(m.f, steer.Shift{})
	if err != nil {
		return errors.Join(err, m.a.steer.FallBack(m.f))
	}
	return m.hasLeft(n.RcvNxt)
}
