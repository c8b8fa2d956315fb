// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"
	"time"

	"lazystate/mtcp/party"
	"lazystate/mtcp/steer"
)

// recall goes on with the connections that a former agent has noted.
func (a *Agent) recall() {
	notes, err := a.steer.Notes()
	if err != nil {
		a.log.Error("what a former agent has noted", "err", err)
	}
	for f, b := range notes {
		n, err := parseAgentNote(b)
		if err == nil {
			err = a.recallOne(f, n)
		}
		if err != nil {
			a.log.Warn("a connection of a former agent's", "flow", f, "err", errors.Join(err, a.steer.Unnote(f)))
		}
	}
}

func (a *Agent) recallOne(f steer.Flow, n *agentNote) error {
	if now, err := a.steer.Query(f); errors.Is(err, steer.ErrNoSocket) && now.State == 0 {
		return a.steer.Unnote(f)
	}
	k, err := a.steer.Session(f)
	if errors.Is(err, steer.ErrNoSession) { // it has not moved, or not yet
		k.State, k.Wire, err = steer.Off, f, nil
	}
	if err != nil {
		return err
	}
	s := &clientSession{offer: n.offer, cert: n.cert, servers: n.servers, first: n.first, at: n.at, since: time.Now(), moves: int(n.moves)}
	a.mu.Lock()
	a.sessions[f] = s
	a.recallPorts(f, s)
	a.mu.Unlock()
	m := n.move
	if m == nil { // it may have followed
		m = n.given
	}
	switch {
	case m == nil:
	case m.reply != nil && k.Wire == m.to && k.State == steer.Switched:
		return a.goOn(f, s, m, true)
	case m.reply != nil && k.Wire == m.to: // S2 was heard
		s.arrived(m)
	default:
		a.seekOn(f, s, n.given)
		if n.move != nil && m.wasAsking(k.State) {
			return a.goOn(f, s, m, false)
		}
		if k.State == steer.Migrating { // it was about to follow
			if err := a.steer.FallBack(f); err != nil {
				return err
			}
		} // else it has gone back, and nothing is known of S1
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.remember(f, s)
	return nil
}

// wasAsking reports that the word of this attempt was never given to S2, so that S1 may be
// told that it is over. A session that has gone back and then nowhere else looks like one
// that has not moved, and its note may be of before, if a later one could not be written:
// then S2 may serve. S1 hears of S2 what has become of it.
func (m *moveNote) wasAsking(is steer.State) bool {
	return is == steer.Migrating || is == steer.Off && m.reply == nil
}

// goOn ends the move that a connection was in.
func (a *Agent) goOn(f steer.Flow, s *clientSession, n *moveNote, switched bool) error {
	now, err := a.steer.Known(f)
	if err != nil {
		return err
	}
	m := &clientMove{a: a, s: s, f: f, done: make(chan struct{}), outcome: make(chan error, 1), start: time.Now(), to: n.to, old: n.old, began: now, switched: switched}
	if switched {
		m.reply, m.began.SndNxt = n.reply, n.sndNxt
		if err := m.show(now.RcvNxt); err != nil {
			return err
		}
	}
	m.party = party.ResumeClient(a.timing, switched)
	a.mu.Lock()
	s.note, a.asked[m.to] = n, m
	a.launch(m)
	a.mu.Unlock()
	if switched {
		a.tasks.Go(func() { m.listen(m.to, m.done) })
	}
	m.tell(a.ctx, party.Event{Kind: party.Start})
	return nil
}

// seekOn has S1 asked where a session is that an earlier agent had given up, if it had.
func (a *Agent) seekOn(f steer.Flow, s *clientSession, n *moveNote) {
	if n == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s.given = n
	a.tasks.Go(func() { a.seek(f, s, n) })
}
