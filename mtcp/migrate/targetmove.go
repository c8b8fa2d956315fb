// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"
	"fmt"
	"net/netip"

	"lazystate/mtcp/party"
)

// targetMove is a move of which this server is S2.
type targetMove struct {
	*runner
	id       ID
	link     link
	proposal proposal

	inbox
	arriving arriving
	coming   []*Coming
}

// proposed looks at what another server wants to send here.
func (m *Mover) proposed(l link, f frame) {
	p, err := parseProposal(f.body)
	if err == nil {
		err = m.admissible(l, p)
	}
	t := &targetMove{inbox: inbox{m: m}, id: f.id, link: l, proposal: p}
	if err == nil {
		t.runner = newRunner(party.NewTarget(party.BySource, m.cfg.Timing), t.carry, t.ended)
		err = m.begin(t.id, "to here: "+p.addr.String(), t)
	}
	if err != nil {
		m.log.Info("a move is declined", "from", l.peer, "err", err)
		m.say(l, f.id, party.Never, err.Error())
		return
	}
	t.tell(m.ctx, party.Event{Kind: party.Propose})
}

func (m *Mover) admissible(l link, p proposal) error {
	if p.way != ByTakeover {
		return fmt.Errorf("%s is not taken part in here", p.way)
	}
	if _, err := m.device(p.addr); err != nil {
		return err
	}
	if !m.allow(l.peer) {
		return fmt.Errorf("%s asks too often", l.peer)
	}
	return nil
}

func (t *targetMove) on() link { return t.link }

func (t *targetMove) heard(f frame) { t.tell(t.m.ctx, t.open(f)) }

func (t *targetMove) carry(e party.Effect) error {
	switch e.Do {
	case party.Send:
		t.m.say(t.link, t.id, e.Msg, e.Why)
		return nil
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
	l, err := t.m.device(t.proposal.addr)
	if err != nil {
		return err
	}
	prefix, err := prefixOf(t.proposal.addr, t.place)
	if err != nil {
		return err
	}
	for _, s := range t.states {
		c, err := Prepare(s, t.m.cfg.Limits, netip.AddrPort{}, netip.AddrPort{})
		if err != nil {
			return err
		}
		t.coming = append(t.coming, c)
		if _, ok := t.m.service(c.Local(), c.Name); !ok || c.Local().Addr() != t.proposal.addr {
			return fmt.Errorf("%q at %s is no service of this server", c.Name, c.Local())
		}
	}
	t.states = nil
	if t.arriving, err = l.arrive(prefix); err != nil {
		t.arriving = nil
		return err
	}
	for _, c := range t.coming {
		if err := c.Restore(t.m.cfg.Stack, false); err != nil {
			return err
		}
	}
	return nil
}

// live lets all of them go on. One that cannot does not keep the others from it.
func (t *targetMove) live() error {
	if err := t.m.journal.note(t.id); err != nil {
		return err
	}
	if err := t.arriving.open(); err != nil {
		return errors.Join(err, t.m.journal.strike(t.id))
	}
	for _, c := range t.coming {
		s, _ := t.m.service(c.Local(), c.Name)
		if err := c.Live(t.m.cfg.Keeper, s.UID); err != nil {
			t.m.log.Error("a session that came", "move", t.id, "err", err)
			_ = c.Drop()
			continue
		}
		t.m.Stats.came.Add(1)
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
	t.coming, t.arriving = nil, nil
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
