// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/mtcp"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/party"
)

// sourceMove is a move of which this server is S1.
type sourceMove struct {
	*runner
	m        *Mover
	id       ID
	link     link
	proposal proposal

	leaving  leaving
	captured []*Captured
	frozen   time.Time
	result   Result
	progress func(Progress)
	done     chan struct{}
}

// Result is how a move ended.
type Result struct {
	Sessions int
	Bytes    int64         // of their state
	Frozen   time.Duration // from the first freeze until S2 said that they live
	Why      string        // they are where they were, or lost; "": they are elsewhere
	State    party.SourceState
}

// MoveError is a move that did not take place, or whose outcome is not known.
type MoveError struct{ Result }

func (e *MoveError) Error() string {
	if e.State == party.Forsaken {
		return fmt.Sprintf("%d sessions are lost, or elsewhere: %s", e.Sessions, e.Why)
	}
	return "the sessions stay here: " + e.Why
}

// Progress is how far a move has come.
type Progress struct {
	Step      string // of what S1 does
	Done, All int    // sessions
}

// Takeover moves an address and all its sessions to another server, and waits
// for the outcome. progress may be nil. The error is a *MoveError if anything
// was begun.
func (m *Mover) Takeover(ctx context.Context, addr netip.Addr, to string, progress func(Progress)) (Result, error) {
	if _, err := m.device(addr); err != nil {
		return Result{}, err
	}
	if progress == nil {
		progress = func(Progress) {}
	}
	s := &sourceMove{m: m, id: newID(), link: link{to, true}, proposal: proposal{ByTakeover, addr}, progress: progress, done: make(chan struct{})}
	return m.lead(ctx, s)
}

// lead begins a move that this server leads.
func (m *Mover) lead(ctx context.Context, s *sourceMove) (Result, error) {
	p := party.NewSource(party.BySource, m.cfg.Timing)
	s.runner = newRunner(p, s.carry, func(why string) {
		s.result.Why, s.result.State = why, p.State()
		close(s.done)
	})
	if !m.knows(s.link.peer) {
		return Result{}, fmt.Errorf("%q is no server that sessions can go to", s.link.peer)
	}
	if err := m.mesh.await(ctx, s.link); err != nil {
		return Result{}, err
	}
	if err := m.begin(s.id, "from here: "+s.proposal.addr.String(), s); err != nil {
		return Result{}, err
	}
	s.tell(ctx, party.Event{Kind: party.Start})
	select {
	case <-s.done:
	case <-m.ctx.Done():
		return Result{}, m.ctx.Err()
	}
	if s.result.Why != "" {
		return s.result, &MoveError{s.result}
	}
	return s.result, nil
}

func (m *Mover) knows(peer string) bool {
	return slices.ContainsFunc(m.cfg.Peers, func(p Peer) bool { return p.Name == peer })
}

func (s *sourceMove) on() link { return s.link }
func (s *sourceMove) left()    {}

func (s *sourceMove) heard(f frame) {
	if f.kind != part {
		s.tell(s.m.ctx, party.Event{Kind: between[f.kind], Why: why(f)})
	}
}

func (s *sourceMove) carry(e party.Effect) error {
	switch e.Do {
	case party.Send:
		return s.send(e)
	case party.Capture:
		return s.capture()
	case party.Commit:
		return s.leaving.commit()
	case party.Undo:
		return s.undo()
	case party.Discard:
		return s.discard()
	}
	return fmt.Errorf("%s at S1", e)
}

func (s *sourceMove) send(e party.Effect) error {
	switch e.Msg {
	case party.Propose:
		return s.frame(party.Propose, s.proposal.append(nil))
	case party.State:
		for i, c := range s.captured {
			if err := s.m.mesh.send(s.link, frame{part, s.id, c.State.AppendBinary(nil)}); err != nil {
				return err
			}
			s.progress(Progress{"send", i + 1, len(s.captured)})
		}
		return s.frame(party.State, s.leaving.place())
	}
	return s.frame(e.Msg, []byte(e.Why))
}

func (s *sourceMove) frame(k party.Kind, body []byte) error {
	return s.m.mesh.send(s.link, frame{kindOf(k), s.id, body})
}

// capture is all or nothing.
func (s *sourceMove) capture() error {
	l, err := s.m.device(s.proposal.addr)
	if err != nil {
		return err
	}
	away, err := l.leave(s.proposal.addr)
	if err != nil {
		return err
	}
	s.leaving, s.frozen = away, time.Now()
	if _, err := s.m.cfg.Keeper.TakeQueue(cbox.Config{}); err != nil {
		s.m.log.Warn("connections that nobody has accepted", "err", err)
	}
	if err := s.captureAll(); err != nil {
		return errors.Join(err, s.undo())
	}
	return nil
}

func (s *sourceMove) captureAll() error {
	var ids []cbox.ID
	for _, i := range s.m.cfg.Keeper.Sessions() {
		if local, err := netip.ParseAddrPort(i.Local); err == nil && local.Addr().Unmap() == s.proposal.addr {
			ids = append(ids, i.ID)
		}
	}
	for i, id := range ids {
		c, err := s.captureOne(id)
		if err != nil {
			return fmt.Errorf("session %s: %w", id, err)
		}
		if c != nil {
			s.captured = append(s.captured, c)
			s.result.Bytes += int64(len(c.State.Socket) + len(c.State.Box))
		}
		s.progress(Progress{"freeze", i + 1, len(ids)})
	}
	s.result.Sessions = len(s.captured)
	return nil
}

// captureOne returns nil for one that has ended meanwhile, or is about to.
func (s *sourceMove) captureOne(id cbox.ID) (*Captured, error) {
	held, err := s.m.cfg.Keeper.Hold(id, s.m.cfg.Freeze)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := Capture(held, s.m.cfg.Stack, nil)
	if over := (*mtcp.StateError)(nil); errors.As(err, &over) {
		return nil, nil
	}
	return c, err
}

// undo takes back all that capture and commit did.
func (s *sourceMove) undo() error {
	if s.leaving == nil {
		return nil
	}
	err := s.leaving.undo()
	for _, c := range s.captured {
		err = errors.Join(err, c.Undo())
	}
	s.captured, s.leaving = nil, nil
	s.m.Stats.undone.Add(1)
	if err != nil {
		s.m.log.Error("undo a move", "move", s.id, "err", err)
	}
	return err
}

func (s *sourceMove) discard() error {
	s.result.Frozen = time.Since(s.frozen)
	err := s.leaving.done()
	for _, c := range s.captured {
		err = errors.Join(err, c.Discard())
	}
	s.m.Stats.left.Add(uint64(len(s.captured)))
	if err != nil {
		s.m.log.Error("end of a move", "move", s.id, "err", err)
	}
	return err
}
