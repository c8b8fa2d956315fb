// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"lazystate/mtcp/keeper"
	"lazystate/mtcp/party"
)

// resumedMove is one that an earlier daemon here had begun as S1: its sessions
// are frozen, and may live elsewhere.
type resumedMove struct {
	source

	mu       sync.Mutex
	note     *parting
	captured []*Captured // as their processes tell of them
}

// recall reads what was in doubt when the last daemon died.
func (m *Mover) recall() error {
	all, err := m.journal.partings()
	if err != nil {
		return err
	}
	for id, note := range all {
		old, err := m.journal.age(partingName(id))
		if err == nil && note.Outcome == "" && old > doubtAge {
			err = m.forsake(id, note)
		}
		if err != nil {
			return err
		}
		r := &resumedMove{source: source{m: m, id: id, link: link{note.Peer, note.Lead == party.BySource}}, note: note}
		p := party.ResumeSource(note.Lead, m.cfg.Timing)
		r.runner = newRunner(p, r.carry, func(why string) {
			m.log.Info("a former daemon's move has ended", "move", id, "state", p.State(), "why", why)
		})
		for _, s := range note.Sessions {
			m.resumed[s] = r
		}
		if note.Outcome == "" {
			m.doubtful = append(m.doubtful, r)
		}
	}
	return nil
}

// forsake gives up what has been in doubt for so long that the other server may have
// forgotten it (prune): its NEVER would say nothing, and what went on here as well
// would be done twice.
func (m *Mover) forsake(id ID, note *parting) error {
	m.log.Warn("a former daemon's move was in doubt for too long: its sessions do not go on here", "move", id, "sessions", len(note.Sessions))
	note.Outcome = itLeft
	return m.journal.part(id, note)
}

// resume asks about them.
func (m *Mover) resume() {
	for _, r := range m.doubtful {
		if err := m.begin(r.id, "a former daemon's "+r.id.String(), r); err != nil {
			m.log.Error("a former daemon's move", "move", r.id, "err", err)
			continue
		}
		r.tell(m.ctx, party.Event{Kind: party.Start})
	}
	m.doubtful = nil
}

// Rescue is for keeper.Config's Frozen: a session goes on here, unless it had
// been given away.
func (m *Mover) Rescue(held *keeper.Held) {
	if err := m.rescue(held); err != nil {
		m.log.Error("a session that was frozen", "session", held.ID(), "err", err)
	}
}

func (m *Mover) rescue(held *keeper.Held) error {
	c := &Captured{held: held}
	if err := c.socket(func(fd int) (err error) { c.frozen, err = m.cfg.Stack.Rescue(fd); return err }); err != nil {
		held.Thaw()
		return err
	}
	if r := m.resumed[hexOf(held.ID())]; r != nil {
		return r.found(c)
	}
	m.log.Warn("a session was frozen by a daemon that has died, it goes on", "session", held.ID())
	return c.Undo()
}

// found is a session of the move.
func (r *resumedMove) found(c *Captured) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.note.Outcome == "" {
		r.captured = append(r.captured, c)
		return nil
	}
	return r.end(c)
}

func (r *resumedMove) end(c *Captured) error {
	if r.note.Outcome == itStays {
		return c.Undo()
	}
	return c.Discard()
}

func (r *resumedMove) carry(e party.Effect) error {
	switch e.Do {
	case party.Send:
		return r.post(e.Msg, []byte(e.Why))
	case party.Undo:
		return r.settle(itStays)
	case party.Discard:
		return r.settle(itLeft)
	}
	return fmt.Errorf("%s at S1", e)
}

// settle does with all sessions of the move what has to be done. The note stays
// for those whose processes have not come yet.
func (r *resumedMove) settle(outcome string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note.Outcome = outcome
	err := r.m.journal.part(r.id, r.note)
	if outcome == itStays && r.note.Address != "" {
		err = errors.Join(err, r.m.back(r.note.Address))
	}
	if outcome == itStays && r.note.Lead == party.BySource && r.note.To.IsValid() {
		err = errors.Join(err, r.m.gates.insist(r.m.ctx, gateBack, endsOf(r.note.Flow, r.note.To), r.m.cfg.Timing.Step))
	}
	if outcome == itLeft && r.note.Lead == party.ByClient && r.m.steer != nil {
		err = errors.Join(err, r.m.departed(r.note.Flow, r.note.Cert, r.note.To))
	}
	for _, c := range r.captured {
		err = errors.Join(err, r.end(c))
	}
	r.captured = nil
	if err != nil {
		r.m.log.Error("end of a former daemon's move", "move", r.id, "err", err)
	}
	return err
}

// back brings an address here that an earlier daemon has taken away.
func (m *Mover) back(text string) error {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return err
	}
	d, err := m.device(p.Addr())
	if err != nil {
		return err
	}
	if here, err := m.Has(p.Addr()); here || err != nil {
		return err
	}
	a, err := d.arrive(p)
	if err != nil {
		return err
	}
	return a.open()
}
