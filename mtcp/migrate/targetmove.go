// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"
	"fmt"
	"net/netip"

	"lazystate/mtcp/party"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/takeover"
)

// targetMove is a move of which this server is S2.
type targetMove struct {
	*runner
	id       ID
	link     link
	proposal proposal

	inbox
	at       netip.AddrPort // ByGateway: where the session is to be here
	arriving arriving
	expected *addressArrives // ByTakeover: the same
	coming   []*Coming
}

// proposed looks at what another server wants to send here.
func (m *Mover) proposed(l link, f frame) {
	p, err := parseProposal(f.body)
	if err == nil {
		err = m.admissible(l, p)
	}
	t := &targetMove{inbox: inbox{m: m}, id: f.id, link: l, proposal: p}
	if err == nil && p.way == ByGateway {
		t.at, err = m.placeHere(p)
	}
	if err == nil {
		t.runner = newRunner(party.NewTarget(party.BySource, m.cfg.Timing), t.carry, t.ended)
		err = m.begin(t.id, "to here: "+p.String(), t)
	}
	if errors.Is(err, errTooOften) {
		m.tooOften(l.peer)
	} else if err != nil {
		m.log.Info("a move is declined", "from", l.peer, "err", err)
	}
	if err != nil {
		m.say(l, f.id, party.Never, err.Error())
		return
	}
	t.tell(m.ctx, party.Event{Kind: party.Propose})
}

func (m *Mover) admissible(l link, p proposal) error {
	if p.way == ByGateway {
		if !m.sessions.allow(l.peer) {
			return errTooOften
		}
		return nil
	}
	if _, err := m.device(p.addr); err != nil {
		return err
	}
	if !m.addresses.allow(l.peer) {
		return errTooOften
	}
	if here, err := m.Has(p.addr); here || err != nil {
		return errors.Join(err, fmt.Errorf("%s: %w", p.addr, takeover.ErrHasAddress))
	}
	return nil
}

// placeHere finds the service that a session of another server's is to go on
// with here.
func (m *Mover) placeHere(p proposal) (netip.AddrPort, error) {
	if m.steer == nil {
		return netip.AddrPort{}, errNoInterfaces
	}
	var best netip.AddrPort
	for _, s := range m.cfg.Services {
		a := s.Listen
		if s.Name != p.name || s.Device != "" || a.Addr().IsUnspecified() || a.Addr().Is4() != p.flow.Local.Addr().Is4() {
			continue
		}
		if !best.IsValid() || best.Port() != p.flow.Local.Port() && a.Port() == p.flow.Local.Port() {
			best = a
		}
	}
	switch {
	case !best.IsValid():
		return best, fmt.Errorf("%q is served at no address here that clients of %s can go to", p.name, p.flow.Local)
	case m.lives(steer.Flow{Local: best, Remote: p.flow.Remote}):
		return best, fmt.Errorf("%s has a connection to %s already", p.flow.Remote, best)
	}
	return best, nil
}

func (t *targetMove) on() link { return t.link }

func (t *targetMove) heard(f frame) { t.tell(t.m.ctx, t.open(f)) }

func (t *targetMove) carry(e party.Effect) error {
	switch e.Do {
	case party.Send:
		body := []byte(e.Why)
		if e.Msg == party.Accept {
			if t.proposal.way == ByGateway {
				body = appendEnd(nil, t.at)
			} else if err := t.expect(); err != nil { // S1 ends it
				return t.m.mesh.send(t.link, frame{kindOf(party.Never), t.id, []byte(err.Error())})
			}
		}
		err := t.m.mesh.send(t.link, frame{kindOf(e.Msg), t.id, body})
		if e.Msg == party.Ready {
			t.entrust() // while S1 lets go of them
		}
		return err
	case party.Restore:
		return t.restore()
	case party.Live:
		return t.live()
	case party.Drop:
		return t.drop()
	}
	return fmt.Errorf("%s at S2", e)
}

// restore puts everything in place. What an error leaves Drop takes away.
func (t *targetMove) restore() error {
	local, remote := t.at, t.proposal.flow.Remote
	for _, s := range t.states {
		c, err := Prepare(s, t.m.cfg.Limits, local, remote)
		if err != nil {
			return err
		}
		t.coming = append(t.coming, c)
		v, ok := t.m.service(c.Local(), c.Name)
		if !ok || t.proposal.way == ByTakeover && c.Local().Addr() != t.proposal.addr {
			return fmt.Errorf("%q at %s is no service of this server", c.Name, c.Local())
		}
		if err := c.Reserve(t.m.cfg.Keeper, v.UID); err != nil {
			return err
		}
	}
	t.states = nil
	if err := t.arrive(); err != nil {
		return err
	}
	for _, c := range t.coming {
		if err := c.Restore(t.m.cfg.Stack, false); err != nil {
			return err
		}
	}
	return nil
}

// entrust puts all of them into escrow.
func (t *targetMove) entrust() {
	t.m.entrust(t.coming, nil, func(c *Coming) entrusted {
		v, _ := t.m.service(c.Local(), c.Name)
		e := entrusted{Move: t.id[:], UID: v.UID, Cert: c.Cert}
		if t.proposal.way == ByGateway {
			e.From = t.proposal.flow.Local
		}
		return e
	})
}

// arrive keeps the client's segments from sockets that are not there yet.
func (t *targetMove) arrive() (err error) {
	if t.proposal.way == ByGateway {
		if len(t.coming) != 1 {
			return &MalformedError{"state reply", fmt.Sprintf("%d sessions", len(t.coming))}
		}
		t.arriving, err = t.m.arriveByGateway(endsOf(t.proposal.flow, t.at))
		return err
	}
	prefix, err := prefixOf(t.proposal.addr, t.place)
	if err != nil {
		return err
	}
	return t.expected.add(prefix)
}

// expect does before S1 freezes anything what an address will need here.
func (t *targetMove) expect() error {
	l, err := t.m.device(t.proposal.addr)
	if err != nil {
		return err
	}
	if err := t.m.journal.arriving(t.proposal.addr); err != nil {
		return err
	}
	if t.expected, err = l.expect(t.proposal.addr); err != nil {
		t.expected = nil
		return errors.Join(err, t.m.journal.arrived(t.proposal.addr))
	}
	t.arriving = t.expected
	return nil
}

// note says that the move lives here, by the note of an address that arrives if
// there is one: a daemon that dies now leaves nothing behind.
func (t *targetMove) note() error {
	if t.proposal.way == ByTakeover {
		return t.m.journal.settled(t.proposal.addr, t.id)
	}
	return t.m.journal.note(t.id)
}

// denote takes that back.
func (t *targetMove) denote() error {
	if t.proposal.way == ByTakeover {
		return t.m.journal.unsettled(t.proposal.addr, t.id)
	}
	return t.m.journal.strike(t.id)
}

// live lets all of them go on. One that cannot does not keep the others from it.
func (t *targetMove) live() error {
	if err := t.note(); err != nil {
		return err
	}
	t.m.point("noted")
	certs := make([]certChange, len(t.coming))
	for i, c := range t.coming {
		certs[i] = certChange{c.ID(), c.Cert}
	}
	if err := t.m.remember(certs...); err != nil {
		t.m.log.Warn("certificates that came", "move", t.id, "err", err)
	}
	if err := t.arriving.open(); err != nil {
		return errors.Join(err, t.denote())
	}
	for _, c := range t.coming {
		if err := c.Live(t.m.point); err != nil {
			t.m.log.Error("a session that came", "move", t.id, "err", errors.Join(err, c.Lose()))
			continue
		}
		if t.proposal.way == ByGateway { // which may not hear its first word
			t.m.tasks.Go(func() { t.m.announce(c) })
		}
		t.m.Stats.came.Add(1)
	}
	if t.proposal.way == ByTakeover {
		t.m.tasks.Go(func() { t.m.announceAgain(t.proposal.addr) })
	}
	t.coming, t.arriving = nil, nil
	return nil
}

func (t *targetMove) drop() error {
	var err error
	for _, c := range t.coming {
		err = errors.Join(err, c.Drop())
	}
	if t.arriving != nil {
		err = errors.Join(err, t.arriving.undo())
	}
	if t.expected != nil {
		err = errors.Join(err, t.m.journal.arrived(t.proposal.addr))
	}
	t.coming, t.arriving, t.expected = nil, nil, nil
	if err != nil {
		t.m.log.Error("drop a move", "move", t.id, "err", err)
	}
	return err
}

func (t *targetMove) ended(why string) {
	if why != "" {
		t.m.log.Info("a move came to nothing", "move", t.id, "from", t.link.peer, "why", why)
		return
	}
	t.m.log.Info("a move has come", "move", t.id, "from", t.link.peer)
}
