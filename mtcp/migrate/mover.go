// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"lazystate/internal/identity"
	"lazystate/mtcp/escrow"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/landing"
	"lazystate/mtcp/party"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/takeover"
	"lazystate/mtcp/tcprepair"
	"lazystate/mtcp/wire"
)

// Service is one whose sessions may come and go. A session that comes is for a
// process of uid that serves the name, and only if its address is configured.
type Service struct {
	Name   string
	UID    uint32
	Listen netip.AddrPort
	Device string // that Listen's address is on, for takeover; "": it stays here
}

// Config is what a Mover has to do with.
type Config struct {
	Keeper   *keeper.Keeper
	Stack    *tcprepair.Stack
	Services []Service

	// Interfaces are those towards clients whose agents move sessions; none: no
	// session comes or goes that way.
	Interfaces []string

	// SameClient has them take sessions away from the address alone that a session's
	// client has here: whoever has seen its certificate cannot from another.
	SameClient bool

	Identity *identity.Identity
	Peers    []Peer
	Gateways []Peer       // that clients come through
	Listen   net.Listener // for the other servers; nil: none come here

	Capacity int // sessions that this server is good for, for policies; 0: it does not say

	Journal string // folder in memory, private to this daemon
	Limits  Limits
	Most    int64 // bytes of all state replies that are held at once; 0: 1 GiB
	Timing  party.Timing
	Freeze  time.Duration // how long a process may be inside one operation; 0: a second
	Log     *slog.Logger

	// Escrow outlives this daemon; nil: what comes while it dies is lost. Left is
	// what a former one has left there.
	Escrow *escrow.Escrow
	Left   []escrow.Item
	// Ledger knows which of them former daemons have died of; nil: nobody does.
	Ledger landing.Ledger

	// LetIn ends what may hold back the client's segments of a session that a former
	// daemon was salvaging; nil: nothing does.
	LetIn func(steer.Flow) error

	// Point, if there is one, is told before and after everything that is done:
	// tests kill the daemon there.
	Point func(string)
}

// Mover is one server's side of all moves.
type Mover struct {
	cfg     Config
	log     *slog.Logger
	journal journal
	mesh    *mesh
	gates   *gates
	links   map[string]*device // by name
	Stats   Stats

	steer   *steer.Server // nil: clients' agents find nobody here
	sender  *steer.Sender
	key     wire.Key
	servers map[uint32]string // peers by the numbers of where they serve

	ctx   context.Context
	tasks sync.WaitGroup

	mu    sync.Mutex
	moves map[ID]move
	keys  map[string]ID // what is being moved: one thing goes to one place
	bytes int64         // of state replies

	addresses, sessions *limiter // of what peers ask for
	clients             *limiter // of what clients do, by address
	own                 *limiter // of what this server asks of a peer

	resumed  map[string]*resumedMove // by session
	doubtful []*resumedMove          // until Run asks
	found    []*found                // likewise, in escrow

	offered  steer.Service // what clients are told of
	advices  map[steer.Flow]*advice
	adviceN  uint8
	statuses map[string]Status // of peers

	certs   *certs
	issued  issued
	taken   map[steer.Flow]*takenMove
	refused map[steer.Flow]time.Time // moves that have ended

	departures departures
}

// move is what this server does in one move.
type move interface {
	on() link
	heard(f frame)
	tell(ctx context.Context, e party.Event)
	mention(e party.Event)
	run(ctx context.Context)
	watch(point func(string))
	left() // under Mover.mu: nothing is heard any more
}

// errBusy: two moves of one thing.
var errBusy = errors.New("it is being moved already")

// begin lets a move run, which is of what the key names.
func (m *Mover) begin(id ID, key string, v move) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, busy := m.keys[key]
	switch {
	case m.ctx == nil || m.ctx.Err() != nil:
		return errors.New("this server takes part in no moves")
	case busy || m.moves[id] != nil:
		return fmt.Errorf("move %s: %w", key, errBusy)
	}
	m.moves[id], m.keys[key] = v, id
	v.watch(m.cfg.Point)
	m.tasks.Go(func() {
		v.run(m.ctx)
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.moves, id)
		delete(m.keys, key)
		v.left()
	})
	return nil
}

// Defaults.
const (
	defaultMost   = 1 << 30
	defaultFreeze = time.Second
	defaultQueues = 64 << 20
	defaultBox    = 16 << 20
	noteAge       = 24 * time.Hour
	doubtAge      = noteAge - time.Hour // the other server's clock is another
)

// New opens what moves need; it stays in the network namespace of the calling
// thread. Close after Run has ended.
func New(cfg Config) (*Mover, error) {
	cfg.Most, cfg.Freeze = cmp.Or(cfg.Most, defaultMost), cmp.Or(cfg.Freeze, defaultFreeze)
	cfg.Limits.Queues, cfg.Limits.Box = cmp.Or(cfg.Limits.Queues, defaultQueues), cmp.Or(cfg.Limits.Box, defaultBox)
	if cfg.Timing == (party.Timing{}) {
		cfg.Timing = party.Defaults
	}
	m := &Mover{cfg: cfg, log: cmp.Or(cfg.Log, slog.Default()), journal: journal(cfg.Journal), links: map[string]*device{},
		moves: map[ID]move{}, keys: map[string]ID{},
		addresses: newLimiter(addressRate), sessions: newLimiter(sessionRate), clients: newLimiter(clientRate), own: newLimiter(ownRate),
		resumed: map[string]*resumedMove{}, adviceN: uint8(rand.N(256)), // a daemon before this one has counted, too
		advices: map[steer.Flow]*advice{}, statuses: map[string]Status{}, taken: map[steer.Flow]*takenMove{}, refused: map[steer.Flow]time.Time{}}
	m.mesh, m.gates = newMesh(cfg, m.log), newGates(cfg.Identity, cfg.Gateways)
	m.mesh.heard, m.mesh.up = m.heard, m.up
	if err := m.journal.open(); err != nil {
		return nil, err
	}
	if err := m.recall(); err != nil {
		return nil, err
	}
	var err error
	if m.certs, err = openCerts(m.journal.path(certsName)); err != nil {
		return nil, err
	}
	if m.departures, err = openDepartures(m.journal.path(departuresName), time.Now(), cfg.Timing.Doubt); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	for _, s := range cfg.Services {
		if s.Device == "" || m.links[s.Device] != nil {
			continue
		}
		l, err := takeover.Open(s.Device)
		if err != nil {
			return nil, errors.Join(err, m.Close())
		}
		m.links[s.Device] = &device{link: l}
	}
	cfg.Escrow.Renewed(func(lost error) {
		cfg.Keeper.TellWaiting()
		m.log.Warn("what waits has a holder again", "lost", lost)
	})
	m.sortOut(cfg.Left) // by notes that may be old
	if err := errors.Join(m.journal.prune(noteAge), m.sweepAddresses()); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	if err := m.openSteer(); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// Close gives up what New opened.
func (m *Mover) Close() error {
	err := errors.Join(m.closeSteer(), m.certs.close(), m.departures.close())
	for _, l := range m.links {
		err = errors.Join(err, l.link.Close())
	}
	return err
}

// Run takes part in moves until ctx ends. A move that is under way then is left
// as it is, as by a daemon that dies.
func (m *Mover) Run(ctx context.Context) {
	m.mu.Lock()
	m.ctx = ctx
	m.mu.Unlock()
	if m.steer != nil {
		m.tasks.Go(m.segments)
		defer context.AfterFunc(ctx, func() { interrupt(m.steer, m.log) })()
	}
	if m.steer != nil && m.offered.Parts(false)+m.offered.Parts(true) > 2 {
		m.tasks.Go(m.offerRest)
	}
	m.tasks.Go(m.report)
	m.revive()
	m.resume()
	m.mesh.run(ctx)
	m.tasks.Wait()
}

// service finds the one with an address.
func (m *Mover) service(local netip.AddrPort, name string) (Service, bool) {
	for _, s := range m.cfg.Services {
		if s.Listen.Port() == local.Port() && (s.Listen.Addr() == local.Addr() || s.Listen.Addr().IsUnspecified()) && (name == "" || s.Name == name) {
			return s, true
		}
	}
	return Service{}, false
}

// errOthers is a session of a user that may have none of this service: anybody may
// introduce one under any name, and at the other server a process of another user would
// go on with it.
var errOthers = errors.New("it is of no service of this server, or of another user than that")

// ours reports whether a session is of a service, as the configuration says it.
func (m *Mover) ours(i keeper.Info) bool {
	s, ok := m.service(i.Local, i.Name)
	return ok && s.UID == i.UID
}

// device is where an address that may be taken over lives.
func (m *Mover) device(addr netip.Addr) (*device, error) {
	for _, s := range m.cfg.Services {
		if s.Listen.Addr() == addr && s.Device != "" {
			return m.links[s.Device], nil
		}
	}
	return nil, fmt.Errorf("%s is no address of a service that may be taken over", addr)
}

// point tells a test where this daemon is.
func (m *Mover) point(step string) {
	if m.cfg.Point != nil {
		m.cfg.Point(step)
	}
}

// Has reports whether an address that may be taken over is here now.
func (m *Mover) Has(addr netip.Addr) (bool, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false, fmt.Errorf("addresses of this server: %w", err)
	}
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr() == addr {
			return true, nil
		}
	}
	return false, nil
}

// sweepAddresses takes away what a daemon that died over a move has left: an
// address that was to come here, whose sessions are somewhere else.
func (m *Mover) sweepAddresses() error {
	all, err := m.journal.stranded()
	for _, a := range all {
		d, derr := m.device(a)
		if derr != nil {
			m.log.Warn("an address was left behind", "address", a, "err", derr)
			continue
		}
		m.log.Warn("an address was left behind, it is removed", "address", a)
		err = errors.Join(err, d.shed(a), m.journal.arrived(a))
	}
	return err
}

// up is told of links by the mesh.
func (m *Mover) up(l link, up bool) {
	e := party.Event{Kind: party.Lost}
	if up {
		e.Kind = party.Linked
	}
	m.mu.Lock()
	var all []move
	for _, v := range m.moves {
		if v.on() == l {
			all = append(all, v)
		}
	}
	m.mu.Unlock()
	for _, v := range all {
		v.tell(m.ctx, e)
	}
}

// heard takes a frame of another server to the move that it is about.
func (m *Mover) heard(l link, f frame) {
	m.mu.Lock()
	v := m.moves[f.id]
	m.mu.Unlock()
	kind := between[f.kind]
	switch {
	case f.kind == status:
		m.reported(l, f.body)
	case v != nil && v.on() == l:
		v.heard(f)
	case v != nil:
		m.log.Warn("another server speaks about a move", "move", f.id, "peer", l.peer)
	case kind == party.Propose:
		m.proposed(l, f)
	case kind == party.Ask:
		m.asked(l, f)
	case kind == party.Query || kind == party.Go || kind == party.State: // State: of a request that was given up meanwhile
		m.say(l, f.id, party.Unknown(m.journal.noted(f.id)), "")
	}
}

func (m *Mover) say(l link, id ID, k party.Kind, why string) {
	if err := m.mesh.send(l, frame{kindOf(k), id, []byte(why)}); err != nil {
		m.log.Debug("not said", "err", err)
	}
}

// mostWhy is how much of another server's reasons is believed.
const mostWhy = 500

func why(f frame) string {
	if kind := between[f.kind]; kind != party.Never && kind != party.Abort {
		return ""
	}
	return fmt.Sprintf("%.*s", mostWhy, f.body)
}
