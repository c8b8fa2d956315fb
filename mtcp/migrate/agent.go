// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"lazystate/internal/noise"
	"lazystate/internal/seqnum"
	"lazystate/mtcp/party"
	"lazystate/mtcp/policy"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/wire"
)

// Agent is the client's side of moves (§2.5.2): it learns from SYN+ACKs which
// connections can move and where to, and moves them.
type Agent struct {
	steer  *steer.Agent
	sender *steer.Sender
	timing party.Timing
	log    *slog.Logger
	quiet  *slog.Logger // of what others can have said

	advices *limiter // by server

	// Advice says whether to follow a server's advice; nil: yes. Policy makes the
	// triggers of a connection; nil: none. Set before Run.
	Advice func(steer.Flow, wire.MigrateAdvise) bool
	Policy func() *policy.Watch
	Every  time.Duration // how often connections are looked at; 0: 100 ms

	// Point, if there is one, is told before and after everything that a move does:
	// tests kill the agent there.
	Point func(string)

	ctx   context.Context
	tasks sync.WaitGroup

	mu       sync.Mutex
	sessions map[steer.Flow]*clientSession // by what the application sees
	crowd    crowd                         // of them
	asked    map[steer.Flow]*clientMove    // by the flow to the server that is asked
}

// clientSession is a connection that can move.
type clientSession struct {
	offer   wire.Certificate // of its SYN+ACK
	cert    wire.Certificate // that it has now
	servers []netip.AddrPort // that cooperate
	first   netip.AddrPort   // the one that the application has connected to
	at      netip.AddrPort   // the one it is with
	since   time.Time
	moving  *clientMove
	moves   int
	watch   *watch
	advice  uint8       // that was answered last
	answer  wire.Reason // what was said to it
	ports   []keptPort  // of its flows on the wire, the one that was used last at the end
	note    *moveNote   // of the move, for the agent after this one
	given   *moveNote   // to a server that it has switched to and given up, and may be with
}

// arrived: it is with the server that it was given to.
func (s *clientSession) arrived(n *moveNote) {
	s.at, s.cert, s.given = n.to.Remote, n.reply.Cert, nil
	s.advice, s.answer = 0, 0 // each server counts its own
	s.moves++
}

// mostServers bounds those that the offers for one connection name.
const mostServers = 64

// mostSessions bounds what offers can make an agent remember, leastSessions is what
// it need not look at again.
const (
	mostSessions  = 65536
	leastSessions = 64
)

// NewAgent takes over what the caller has opened; the agent neither closes it.
func NewAgent(s *steer.Agent, out *steer.Sender, t party.Timing, log *slog.Logger) *Agent {
	return &Agent{steer: s, sender: out, timing: t, log: log, quiet: slog.New(noise.New(log.Handler(), 1)), advices: newLimiter(sessionRate),
		sessions: map[steer.Flow]*clientSession{}, asked: map[steer.Flow]*clientMove{}, crowd: crowd{least: leastSessions, most: mostSessions}}
}

// Run listens to the kernel's programs until ctx ends.
func (a *Agent) Run(ctx context.Context) error {
	a.mu.Lock()
	a.ctx = ctx
	a.mu.Unlock()
	defer a.tasks.Wait()
	a.recall()
	if a.Policy != nil {
		a.tasks.Go(a.look)
	}
	defer context.AfterFunc(ctx, func() { interrupt(a.steer, a.log) })()
	for {
		e, err := a.steer.Next()
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, os.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("segments of servers: %w", err)
		}
		a.take(e)
	}
}

func (a *Agent) take(e steer.Event) {
	switch o := e.Segment.Migration().(type) {
	case wire.Offer:
		if n, err := a.steer.Query(e.Flow); o.Part > 0 || err == nil && answersSYN(e.Segment, n) {
			a.offered(e.Flow, o)
		}
		return
	case wire.MigrateArrived:
		return // the kernel has opened the way; the move looks at that
	case wire.MigrateReply:
		a.tell(e.Flow, party.Event{Kind: party.Reply}, func(m *clientMove) bool { return m.replied(o, e.Segment) })
		return
	case wire.MigrateRefuse:
		a.tell(e.Flow, party.Event{Kind: party.Refuse, Why: "MIGRATE_REFUSE: " + o.Reason.String()}, func(m *clientMove) bool { return m.refused(o, e.Segment) })
		return
	case wire.MigrateAdvise:
		a.advised(a.steer.App(e.Flow), e.Flow, o)
		return
	}
	switch e.Told {
	case steer.Next:
		switch {
		case e.Segment.Flags&wire.RST != 0:
			a.tell(e.Flow, party.Event{Kind: party.Refuse, Why: ordinaryServer}, nil)
		case e.Segment.Flags&wire.SYN != 0: // a server that knows nothing of M-TCP
			a.tell(e.Flow, party.Event{Kind: party.Refuse, Why: ordinaryServer}, func(m *clientMove) bool { return m.ordinary(e.Segment) })
		}
	case steer.Abort:
		a.mu.Lock()
		var m *clientMove
		if s := a.sessions[e.Flow]; s != nil {
			m = s.moving
		}
		a.mu.Unlock()
		if m != nil {
			m.mention(party.Event{Kind: party.Gone})
		}
	}
}

// ordinaryServer is one that answers as any TCP does.
const ordinaryServer = "the server knows nothing of M-TCP"

// tell has the move of a flow hear of something that check finds credible.
func (a *Agent) tell(f steer.Flow, e party.Event, check func(*clientMove) bool) {
	a.mu.Lock()
	m := a.asked[f]
	a.mu.Unlock()
	if m != nil && (check == nil || check(m)) {
		m.mention(e)
	}
}

// answersSYN reports the SYN+ACK that a connection has begun with, or is about to.
// Whoever does not see its segments does not know what that acknowledges: their own
// certificate would have their advice followed, and the session is theirs (§2.5.2).
// Linux counts our SYN among the bytes acknowledged. One with data (TCP Fast Open) is
// not known again: its connection stays where it is.
func answersSYN(s wire.Segment, n steer.Numbers) bool {
	iss := n.SndUna - seqnum.Value(n.Acked)
	return s.Flags&(wire.SYN|wire.ACK|wire.RST) == wire.SYN|wire.ACK && s.Ack == iss+1
}

// offered is a part of an offer; the first comes with a connection's SYN+ACK, which
// may come several times, also when the session has moved.
func (a *Agent) offered(f steer.Flow, o wire.Offer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.sessions[f]
	switch {
	case o.Part == 0 && s != nil && s.offer.Equal(o.Cert):
	case o.Part == 0:
		if s != nil { // of an earlier connection with these ends
			s.freePorts()
		} else if now := time.Now(); a.crowd.due(len(a.sessions), now) {
			a.prune()
			a.crowd.looked(len(a.sessions), time.Now())
		}
		if s == nil && len(a.sessions) >= mostSessions {
			a.quiet.Warn("a connection that cannot move: there are too many that can", "flow", f, "most", mostSessions)
			return
		}
		a.sessions[f] = &clientSession{offer: o.Cert, cert: o.Cert, servers: o.Servers, first: f.Remote, at: f.Remote, since: time.Now()}
		a.remember(f, a.sessions[f])
	case s != nil && s.cert.Equal(o.Cert): // said several times, for it may get lost
		for _, v := range o.Servers {
			if len(s.servers) < mostServers && !slices.Contains(s.servers, v) {
				s.servers = append(s.servers, v)
				a.remember(f, s)
			}
		}
	}
}

// prune forgets connections that have ended, also in TIME_WAIT; mu is held.
func (a *Agent) prune() {
	for f, s := range a.sessions {
		if s.moving != nil {
			continue
		}
		if n, err := a.steer.Query(f); errors.Is(err, steer.ErrNoSocket) && n.State == 0 {
			s.freePorts()
			delete(a.sessions, f)
			_ = a.steer.Unnote(f) // the next agent finds no socket either
		}
	}
}

// ClientInfo is one connection that can move.
type ClientInfo struct {
	Flow    steer.Flow
	At      netip.AddrPort
	Servers []netip.AddrPort
	Moves   int
	Moving  bool
	Numbers steer.Numbers
}

// Sessions lists the connections that can move and still are.
func (a *Agent) Sessions() []ClientInfo {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.prune()
	out := []ClientInfo{}
	for f, s := range a.sessions {
		n, err := a.steer.Query(f)
		if errors.Is(err, steer.ErrNoSocket) && s.moving == nil {
			continue
		}
		out = append(out, ClientInfo{f, s.at, s.servers, s.moves, s.moving != nil, n})
	}
	return out
}

// Move moves a connection to the first of the servers that takes it, and waits
// for the outcome. Without servers those are meant that its offer has named.
func (a *Agent) Move(ctx context.Context, f steer.Flow, servers ...netip.AddrPort) error {
	m, err := a.begin(f, servers)
	for errors.Is(err, errBusy) && a.stayed(ctx, f) {
		m, err = a.begin(f, servers)
	}
	if err != nil {
		return err
	}
	m.tell(ctx, party.Event{Kind: party.Start})
	select {
	case err := <-m.outcome:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stayed waits for the end of a move whose outcome is known: S1 is being told that the
// client stays.
func (a *Agent) stayed(ctx context.Context, f steer.Flow) bool {
	a.mu.Lock()
	s := a.sessions[f]
	if s == nil || s.moving == nil {
		a.mu.Unlock()
		return s != nil
	}
	m, known := s.moving, s.moving.known
	a.mu.Unlock()
	if !known {
		return false
	}
	select {
	case <-m.done:
		return true
	case <-ctx.Done():
		return false
	}
}

// ErrNoOffer: nobody has said that the connection can move.
var ErrNoOffer = errors.New("no server has offered to move it")

func (a *Agent) begin(f steer.Flow, servers []netip.AddrPort) (*clientMove, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.sessions[f]
	switch {
	case s == nil:
		return nil, fmt.Errorf("move %s: %w", f, ErrNoOffer)
	case s.moving != nil:
		return nil, fmt.Errorf("move %s: %w", f, errBusy)
	case a.ctx == nil:
		return nil, errors.New("the agent does not run")
	}
	if len(servers) == 0 {
		servers = s.servers
	}
	m := &clientMove{a: a, s: s, f: f, servers: servers, done: make(chan struct{}), outcome: make(chan error, 1)}
	m.party = party.NewClient(a.timing, len(servers))
	a.launch(m)
	return m, nil
}

// launch lets a move run; mu is held.
func (a *Agent) launch(m *clientMove) {
	m.runner = newRunner(m.party, m.carry, m.ended)
	m.watch(a.Point)
	m.s.moving = m
	a.tasks.Go(func() { m.run(a.ctx) })
}
