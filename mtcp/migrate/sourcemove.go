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
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/party"
)

// sourceMove is a move of which this server is S1.
type sourceMove struct {
	source
	proposal proposal

	session  cbox.ID // of ByGateway
	accepted []byte  // what Accept said; heard before it is told

	leaving  leaving
	looked   map[cbox.ID]struct{} // at these: they are captured, or had ended
	captured []*Captured
	drafted  error // by the journal
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
	s := &sourceMove{source: source{m: m, id: newID(), link: link{to, true}}, proposal: proposal{way: ByTakeover, addr: addr}, progress: progress, done: make(chan struct{})}
	return m.lead(ctx, s)
}

// Redirect moves one session to another server by way of the gateway that its
// client's traffic crosses, and waits for the outcome as Takeover does.
func (m *Mover) Redirect(ctx context.Context, id cbox.ID, to string) (Result, error) {
	i, ok := m.cfg.Keeper.Session(id)
	switch {
	case !ok:
		return Result{}, fmt.Errorf("session %s is not here", id)
	case !m.ours(i):
		return Result{}, fmt.Errorf("session %s: %w", id, errOthers)
	}
	return m.lead(ctx, &sourceMove{source: source{m: m, id: newID(), link: link{to, true}}, proposal: proposal{way: ByGateway, flow: flowOf(i), name: i.Name},
		session: id, progress: func(Progress) {}, done: make(chan struct{})})
}

// key is what is moved, by which a second move of it is known.
func (s *sourceMove) key() string {
	if s.proposal.way == ByGateway {
		return "session " + s.session.String()
	}
	return "from here: " + s.proposal.String()
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
	if err := m.begin(s.id, s.key(), s); err != nil {
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

func (s *sourceMove) heard(f frame) {
	if between[f.kind] == party.Accept && s.accepted == nil {
		s.accepted = f.body
	}
	s.source.heard(f)
}

func (s *sourceMove) carry(e party.Effect) error {
	switch e.Do {
	case party.Send:
		return s.send(e)
	case party.Capture:
		return s.capture()
	case party.Commit:
		return s.commit()
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
		return s.post(party.Propose, s.proposal.append(nil))
	case party.State:
		return s.sendStates()
	}
	return s.post(e.Msg, []byte(e.Why))
}

// sendStates writes many sessions at once, not each.
func (s *sourceMove) sendStates() error {
	var b []byte
	last := frame{kindOf(party.State), s.id, s.leaving.place()}
	for i, c := range s.captured {
		b = appendPart(b, s.id, &c.State)
		if len(b) >= writeAtOnce {
			if err := s.m.mesh.write(s.link, frame{kind: part, id: s.id}, b); err != nil {
				return err
			}
			b = b[:0]
		}
		s.progress(Progress{"send", i + 1, len(s.captured)})
	}
	if err := s.m.mesh.write(s.link, last, last.append(b)); err != nil {
		return err
	}
	s.drafted = s.m.journal.draft(s.id, s.parting()) // while S2 restores
	return nil
}

// writeAtOnce is about what a socket's buffer takes.
const writeAtOnce = 128 << 10

// capture is all or nothing.
func (s *sourceMove) capture() error {
	away, err := s.leave()
	if err != nil {
		return errors.Join(err, s.m.journal.parted(s.id))
	}
	s.leaving, s.frozen = away, time.Now()
	if s.proposal.way == ByTakeover {
		if _, err := s.m.cfg.Keeper.TakeQueue(); err != nil {
			s.m.log.Warn("connections that nobody has accepted", "err", err)
		}
	}
	if err := s.captureAll(); err != nil {
		return errors.Join(err, s.undo())
	}
	return nil
}

// leave keeps the client's segments off.
func (s *sourceMove) leave() (leaving, error) {
	if s.proposal.way == ByTakeover {
		l, err := s.m.device(s.proposal.addr)
		if err != nil {
			return nil, err
		}
		return l.leave(s.proposal.addr)
	}
	if len(s.accepted) != addrLen {
		return nil, &MalformedError{"acceptance", fmt.Sprintf("%d bytes", len(s.accepted))}
	}
	t := endsOf(s.proposal.flow, parseEnd(s.accepted))
	// A gateway that holds back what the client sends is to be told, whatever
	// becomes of this daemon.
	if err := s.m.journal.part(s.id, &parting{Peer: s.link.peer, Lead: party.BySource, Sessions: []string{hexOf(s.session)}, Flow: s.proposal.flow, To: t.to}); err != nil {
		return nil, err
	}
	return s.m.leaveByGateway(t)
}

// sessions are those that move. Of an address those are all, but for others' (errOthers),
// who could keep it here for ever: they lose it, as whatever nobody keeps. A session of
// somebody who has a service here, that the configuration does not know, is its mistake:
// S2 declines it.
func (s *sourceMove) sessions() []cbox.ID {
	if s.proposal.way == ByGateway {
		return []cbox.ID{s.session}
	}
	var ids []cbox.ID
	for _, i := range s.m.cfg.Keeper.Sessions() {
		if i.Local.Addr() == s.proposal.addr && s.m.belongs(i) {
			ids = append(ids, i.ID)
		}
	}
	return ids
}

func (m *Mover) belongs(i keeper.Info) bool {
	if _, known := m.service(i.Local, i.Name); known {
		return m.ours(i)
	}
	return slices.ContainsFunc(m.cfg.Services, func(v Service) bool { return v.UID == i.UID })
}

func (s *sourceMove) captureAll() error {
	ids := s.sessions()
	s.looked = map[cbox.ID]struct{}{}
	for i, id := range ids {
		if late := time.Since(s.frozen); late > s.m.cfg.Timing.Step { // somebody stays inside operations, and the others wait for nothing
			return fmt.Errorf("%d of %d sessions are frozen after %v, and the other server waits no longer", i, len(ids), late.Round(time.Millisecond))
		}
		s.looked[id] = struct{}{}
		c, err := s.captureOne(id)
		if errors.Is(err, unix.EBUSY) {
			err = errBusy
		}
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
	if s.proposal.way == ByGateway && len(s.captured) == 0 {
		return errors.New("the session has ended")
	}
	return nil
}

// captureOne returns nil for one that has ended meanwhile, or whose connection is
// over: nothing of it can come from the client any more, or go there. What it has
// left to read its process reads here, with the end behind it.
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
	if err == nil {
		c.State.Cert = s.m.certificateOf(c)
	}
	return c, err
}

// commit lets go of the address: from here on S2 may get the word.
func (s *sourceMove) commit() error {
	if s.drafted != nil {
		return s.drafted
	}
	// A process may have accepted one before the guard and said so only now.
	for _, id := range s.sessions() {
		if _, ok := s.looked[id]; !ok {
			return fmt.Errorf("session %s has come meanwhile", id)
		}
	}
	if err := s.m.journal.sign(s.id); err != nil {
		return err
	}
	return s.leaving.commit()
}

func (s *sourceMove) parting() *parting {
	p := &parting{Peer: s.link.peer, Lead: party.BySource, Address: s.leaving.prefix()}
	if l, ok := s.leaving.(gatewayLeaves); ok {
		p.Flow, p.To = l.flow(), l.t.to
	}
	for _, c := range s.captured {
		p.Sessions = append(p.Sessions, hexOf(c.held.ID()))
	}
	return p
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
	err = errors.Join(err, s.m.journal.parted(s.id))
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
	ids := make([]cbox.ID, len(s.captured))
	helds := make([]*keeper.Held, len(s.captured))
	for i, c := range s.captured {
		ids[i], helds[i] = c.held.ID(), c.held
		err = errors.Join(err, c.silence())
	}
	s.m.cfg.Keeper.Depart(helds...)
	err = errors.Join(err, s.m.forget(ids...), s.m.journal.parted(s.id))
	s.m.Stats.left.Add(uint64(len(s.captured)))
	if err != nil {
		s.m.log.Error("end of a move", "move", s.id, "err", err)
	}
	return err
}
