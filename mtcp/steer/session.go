// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"lazystate/internal/seqnum"
)

// State is a session's at the agent (§2.5.2). OFF is one that has never moved, or
// has fallen back to where it was.
type State uint32

// The states there are. BLACKHOLE is no state of a session but of the flows that
// it had before.
const (
	Off       = State(bpfStateOFF)
	Migrating = State(bpfStateMIGRATING)
	Switched  = State(bpfStateSWITCHED)
	Moved     = State(bpfStateMOVED)
)

func (s State) String() string {
	if s > Moved {
		return fmt.Sprintf("state %d", uint32(s))
	}
	return [...]string{"OFF", "MIGRATING", "SWITCHED", "MOVED"}[s]
}

// Flags of a session in the maps; names as in bpf/steer.h.
const (
	clampIn = 1 << iota
	clampOut
	direct
	keep
)

// Bits of what was seen of a session's end.
const (
	seenFinOut = 1 << iota
	seenFinIn
	seenRST
)

// Session is a connection that has moved or is about to.
type Session struct {
	App   Flow // as the application has it
	Wire  Flow // as it is on the wire
	State State
	Moves int           // so far
	Asked Flow          // MIGRATING: on the wire, should it move
	Left  time.Duration // MIGRATING: until it ends by itself; 0: never, negative: it has
	Idle  time.Duration // since the last segment that went on, a tick more or less
	Over  bool          // both FINs or a RST were seen
}

// now is the clock of the programs.
func now() uint64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail
	return uint64(ts.Nano())
}

func sessionOf(app Flow, b bpfSession) Session {
	s := Session{
		App: app, Wire: flowOf(b.Wire), State: State(b.State), Moves: int(b.Hop) - 1,
		Over: b.Seen&seenRST != 0 || b.Seen&(seenFinIn|seenFinOut) == seenFinIn|seenFinOut,
	}
	if b.Last != 0 {
		s.Idle = max(0, time.Duration(now()-b.Last))
	}
	if s.State == Migrating {
		s.Asked = flowOf(b.Asked)
		if b.Deadline != 0 {
			s.Left = time.Duration(b.Deadline - now())
		}
	}
	return s
}

// expired reports a move that has ended by itself.
func expired(b bpfSession) bool {
	return State(b.State) == Migrating && b.Deadline != 0 && now() >= b.Deadline
}

func (a *Agent) lookup(f Flow) (bpfSession, error) {
	var s bpfSession
	err := a.sessions.Lookup(f.bpf(), &s)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return s, fmt.Errorf("session %s: %w", f, ErrNoSession)
	} else if err != nil {
		return s, fmt.Errorf("session %s: %w", f, err)
	}
	return s, nil
}

func (a *Agent) put(f Flow, s bpfSession) error {
	if err := a.sessions.Put(f.bpf(), s); err != nil {
		return fmt.Errorf("session %s: %w", f, full(err))
	}
	return nil
}

func (a *Agent) putWire(w, app Flow, hop uint32) error {
	if err := a.wires.Put(w.bpf(), bpfWire{App: app.bpf(), Hop: hop}); err != nil {
		return fmt.Errorf("flow %s: %w", w, full(err))
	}
	return nil
}

// full says what E2BIG means of a table that has no room.
func full(err error) error {
	if errors.Is(err, unix.E2BIG) {
		return ErrFull
	}
	return err
}

// Session returns one session.
func (a *Agent) Session(f Flow) (Session, error) {
	b, err := a.lookup(f)
	if err != nil {
		return Session{App: f}, err
	}
	return sessionOf(f, b), nil
}

// App is whose a flow on the wire is: its own if it belongs to no session.
func (a *Agent) App(w Flow) Flow {
	var v bpfWire
	if err := a.wires.Lookup(w.bpf(), &v); err != nil {
		return w
	}
	return flowOf(v.App)
}

// Wires returns the flows that a session has had on the wire, but for its own, the oldest
// first: that of the server it is with, and black holes.
func (a *Agent) Wires(f Flow) []Flow {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.flows[f])
}

// Sessions returns all that have moved or are about to.
func (a *Agent) Sessions() ([]Session, error) {
	var all []Session
	var f bpfFlow
	var s bpfSession
	it := a.sessions.Iterate()
	for it.Next(&f, &s) {
		all = append(all, sessionOf(flowOf(f), s))
	}
	if err := it.Err(); err != nil {
		return all, fmt.Errorf("sessions: %w", err)
	}
	return all, nil
}

// Shift is by how much the path changes sequence numbers: those on the wire
// minus those of the client. A firewall that draws initial numbers of its own
// does that; the option in the SYN+ACK has the true ones.
type Shift struct{ Up, Down seqnum.Size }
