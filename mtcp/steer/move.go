// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/cilium/ebpf"

	"lazystate/internal/seqnum"
)

// Try is a server that is asked for a session.
type Try struct {
	Server netip.AddrPort
	// Local is the client's end towards it; zero is the one it has. A port that is
	// reserved (ReservePort) cannot become another connection's to that server.
	Local netip.AddrPort
	// For is how long the session stays MIGRATING unless Switch or FallBack comes
	// first; 0 is for ever.
	For time.Duration
}

// Begin makes a session MIGRATING and returns the client's numbers as of then:
// una^C, nxt^C and next^C of the request. At a gateway there are none.
func (a *Agent) Begin(f Flow, t Try) (Numbers, error) {
	s, err := a.lookup(f)
	switch {
	case errors.Is(err, ErrNoSession):
		s = bpfSession{Wire: f.bpf(), Hop: 1}
	case err != nil:
		return Numbers{}, err
	case expired(s):
		if err := a.FallBack(f); err != nil {
			return Numbers{}, err
		}
		return a.Begin(f, t)
	case State(s.State) != Moved:
		return Numbers{}, &StateError{f, State(s.State), "begin to move"}
	}
	asked := Flow{t.Local, t.Server}
	if !t.Local.IsValid() {
		asked.Local = f.Local
	}
	if err := errors.Join(f.valid(), asked.valid()); err != nil {
		return Numbers{}, err
	}
	if err := a.claim(f, asked, s.Hop); err != nil {
		return Numbers{}, err
	}
	n, err := a.begin(f, asked, s, t.For)
	if err != nil {
		return n, errors.Join(err, a.release(f, asked, s.Hop))
	}
	return n, nil
}

// claim takes flows on the wire for a session: that of the next server, and with
// the first move its own.
func (a *Agent) claim(f, asked Flow, hop uint32) error {
	var w bpfWire
	err := a.wires.Lookup(asked.bpf(), &w)
	if err == nil && (flowOf(w.App) != f || w.Hop == hop) {
		return fmt.Errorf("flow %s: %w", asked, ErrTaken)
	} else if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("flow %s: %w", asked, err)
	}
	if hop == 1 {
		if f == asked {
			return fmt.Errorf("flow %s: %w", asked, ErrTaken)
		}
		if err := a.putWire(f, f, 1); err != nil {
			return err
		}
	}
	if err := a.putWire(asked, f, hop+1); err != nil {
		if hop == 1 { // nobody would find it again
			err = errors.Join(err, remove(a.wires, f))
		}
		return err
	}
	return a.note(f, asked)
}

// flowsKept is how many flows of a session before its present one stay black
// holes: what comes late comes soon.
const flowsKept = 8

// Flows is how many flows of one session, beside its own, are known at most: the ports of
// the client's in them are no other connection's meanwhile, if somebody keeps them.
const Flows = flowsKept + 2 // the present and the next

// note remembers which flows are a session's, and forgets the oldest.
func (a *Agent) note(f, asked Flow) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := slices.DeleteFunc(a.flows[f], func(w Flow) bool { return w == asked })
	if asked != f { // whose place is its own
		all = append(all, asked)
	}
	var err error
	for len(all) > Flows {
		err = errors.Join(err, remove(a.wires, all[0]))
		all = all[1:]
	}
	a.flows[f] = all
	return err
}

func (a *Agent) begin(f, asked Flow, s bpfSession, limit time.Duration) (Numbers, error) {
	s.State, s.Asked, s.Next = uint32(Migrating), asked.bpf(), s.Hop+1
	s.Deadline, s.Last = 0, now()
	if limit > 0 {
		s.Deadline = s.Last + uint64(limit)
	}
	if a.cfg.Gateway {
		s.Flags = s.Flags&^clampIn | keep
		return Numbers{}, a.put(f, s)
	}
	// Held from here on; what the client knows is asked after that, so that no
	// acknowledgement gets between.
	n, err := a.Query(f)
	if err != nil {
		return n, err
	}
	s.Flags, s.Frozen = s.Flags|clampIn, uint32(n.SndUna)
	if err := a.put(f, s); err != nil {
		return n, err
	}
	return a.known(f, s)
}

// Known is Query, but for what the client has ahead of the server that it is with: that
// came of an earlier one, and was out of order, or not yet with TCP, when the session left.
// To the present server it is what was never sent.
func (a *Agent) Known(f Flow) (Numbers, error) {
	s, err := a.lookup(f)
	if err != nil && !errors.Is(err, ErrNoSession) {
		return Numbers{}, err
	}
	return a.known(f, s)
}

// known is Known of a session that was looked up. What the programs have seen since is
// missing, which is no harm: less is acknowledged anew.
func (a *Agent) known(f Flow, s bpfSession) (Numbers, error) {
	n, err := a.Query(f)
	if sent := seqnum.Value(s.Sent); s.Flags&clampOut != 0 && sent.Less(n.RcvNxt) {
		n.RcvNxt = sent
	}
	return n, err
}

// Switch leaves the old server: from here on it is a black hole, and nothing
// leaves until the new one has been heard. It returns the client's numbers as of
// then, next^C of the fix-up. There is no way back to the old server.
func (a *Agent) Switch(f Flow, shift Shift) (Numbers, error) {
	s, err := a.lookup(f)
	if err != nil {
		return Numbers{}, err
	}
	if State(s.State) != Migrating || expired(s) {
		return Numbers{}, &StateError{f, State(s.State), "switch"}
	}
	left := s
	s.Wire, s.Hop, s.Next, s.Deadline = s.Asked, s.Next, 0, 0
	s.State, s.Up, s.Down = uint32(Switched), uint32(shift.Up), uint32(shift.Down)
	s.Flags &^= clampOut | direct
	if err := a.way(f, &s); err != nil {
		return Numbers{}, err
	}
	if a.cfg.Gateway {
		return Numbers{}, a.put(f, s)
	}
	// The new server cannot speak before it is told, so the second put is in time.
	if err := a.put(f, s); err != nil {
		return Numbers{}, err
	}
	n, err := a.known(f, left)
	if err != nil {
		return n, err
	}
	s.Flags, s.Sent = s.Flags|clampOut, uint32(n.RcvNxt)
	return n, a.put(f, s)
}

// FallBack ends a move that came to nothing: the session goes on with the server
// it has.
func (a *Agent) FallBack(f Flow) error {
	s, err := a.lookup(f)
	if err != nil {
		return err
	}
	if State(s.State) != Migrating {
		return &StateError{f, State(s.State), "fall back"}
	}
	if s.Hop == 1 {
		return a.Forget(f)
	}
	asked := flowOf(s.Asked)
	s.State, s.Next, s.Deadline = uint32(Moved), 0, 0
	return errors.Join(a.put(f, s), a.release(f, asked, s.Hop))
}

// Return gives up a server that a session has switched to and that has not been
// heard: it goes back to the flow that it had before. Whether anybody is there
// the caller does not know. Only for paths that change no numbers. What that server has
// sent is known as of Switch: it may not have what the client has beyond that.
func (a *Agent) Return(f, to Flow) error {
	s, err := a.lookup(f)
	if err != nil {
		return err
	}
	if State(s.State) != Switched {
		return &StateError{f, State(s.State), "return"}
	}
	var w bpfWire
	if err := a.wires.Lookup(to.bpf(), &w); err != nil || flowOf(w.App) != f || w.Hop == 0 || w.Hop >= s.Hop {
		return fmt.Errorf("flow %s: %w", to, ErrTaken)
	}
	given := flowOf(s.Wire)
	s.Wire, s.Hop, s.State, s.Flags = to.bpf(), w.Hop, uint32(Moved), s.Flags&^(clampIn|direct)
	if err := a.way(f, &s); err != nil {
		return err
	}
	return errors.Join(a.put(f, s), a.putWire(given, f, 0))
}

// release makes a flow that is not needed a black hole, or forgets all flows of
// a session that has never moved.
func (a *Agent) release(f, asked Flow, hop uint32) error {
	if hop == 1 {
		return a.Forget(f)
	}
	return a.putWire(asked, f, 0)
}

// Forget ends the steering of a session, for one that is over.
func (a *Agent) Forget(f Flow) error {
	err := remove(a.sessions, f)
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range append(a.flows[f], f) {
		err = errors.Join(err, remove(a.wires, w))
	}
	delete(a.flows, f)
	return err
}

func remove(m *ebpf.Map, f Flow) error {
	if err := m.Delete(f.bpf()); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("forget %s: %w", f, err)
	}
	return nil
}

// Sweep forgets sessions that are over: at a client those whose connection is
// gone, at a gateway those that have ended and been silent for a minute, or been
// silent for the time given. It returns how many.
func (a *Agent) Sweep(silent time.Duration) (int, error) {
	all, err := a.Sessions()
	n := 0
	for _, s := range all {
		if !a.over(s, silent) {
			continue
		}
		n++
		err = errors.Join(err, a.Forget(s.App))
	}
	return n, err
}

func (a *Agent) over(s Session, silent time.Duration) bool {
	if !a.cfg.Gateway {
		n, err := a.Query(s.App)
		return errors.Is(err, ErrNoSocket) && n.State == 0 // TIME_WAIT still wants its segments
	}
	return s.Idle > silent || s.Over && s.Idle > time.Minute
}
