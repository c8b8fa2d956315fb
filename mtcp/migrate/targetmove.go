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
	m        *Mover
	id       ID
	link     link
	proposal proposal

	// Until State has been heard these are the link's goroutine's, then the runner's.
	states []*State
	place  []byte
	bytes  int64
	gone   bool // under Mover.mu, as bytes

	arriving arriving
	coming   []*Coming
}

// proposed looks at what another server wants to send here.
func (m *Mover) proposed(l link, f frame) {
	p, err := parseProposal(f.body)
	if err == nil {
		err = m.admissible(l, p)
	}
	t := &targetMove{m: m, id: f.id, link: l, proposal: p}
	if err == nil {
		t.runner = newRunner(party.NewTarget(party.BySource, m.cfg.Timing), t.carry, t.ended)
		err = m.enterTarget(t)
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

func (m *Mover) enterTarget(t *targetMove) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, other := range m.targets {
		if other.proposal.addr == t.proposal.addr {
			return fmt.Errorf("%s: %w", t.proposal.addr, errBusy)
		}
	}
	m.targets[t.id] = t
	m.tasks.Go(func() {
		t.run(m.ctx)
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.targets, t.id)
		m.bytes -= t.bytes
		t.gone = true
	})
	return nil
}

// heard takes parts together and passes on the rest.
func (t *targetMove) heard(f frame) {
	kind := between[f.kind]
	switch {
	case t.place != nil && (f.kind == part || kind == party.State):
		t.tell(t.m.ctx, party.Event{Kind: party.Abort, Why: "a second state reply"})
		return
	case f.kind == part:
		if err := t.part(f.body); err != nil {
			t.tell(t.m.ctx, party.Event{Kind: party.Abort, Why: err.Error()})
		}
		return
	case kind == party.State:
		t.place = append([]byte{}, f.body...)
	}
	t.tell(t.m.ctx, party.Event{Kind: kind, Why: why(f)})
}

func (t *targetMove) part(b []byte) error {
	m := t.m
	m.mu.Lock()
	full := t.gone || m.bytes+int64(len(b)) > m.cfg.Most
	if !full {
		m.bytes += int64(len(b))
		t.bytes += int64(len(b))
	}
	m.mu.Unlock()
	if full {
		return errors.New("no room for so much state")
	}
	s, err := ParseState(b)
	if err == nil {
		t.states = append(t.states, s)
	}
	return err
}

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
