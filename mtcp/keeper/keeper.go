// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"lazystate/internal/noise"
	"lazystate/mtcp"
	"lazystate/mtcp/cbox"
)

// Config bounds what a keeper takes on. Zero is no bound, where nothing else is said.
type Config struct {
	Sessions  int   // at once
	Bytes     int64 // of their boxes
	Box       int64 // of one of them; 0: 16 MiB
	Processes int
	Listeners int
	User      Share            // of it all, for one user
	Users     map[uint32]Share // the same for those who have another, by uid

	// Orphan is how long a session waits for a process to go on with it, before
	// its client gets a reset; 0: for ever.
	Orphan time.Duration

	// Frozen is told of a session that a process has and that somebody was moving
	// who has died: it is to Thaw it, or to let it Depart. nil: it is not kept.
	Frozen func(*Held)

	// Waiting is told of a session that no process has, so that with this keeper it
	// would end; what it returns, if anything, is called when a process has it, or
	// nobody any more. The keeper is locked meanwhile. nil: it ends with this keeper.
	Waiting func(Info, cbox.Region, *Conn) (over func())

	Log *slog.Logger // nil: slog.Default
}

// Keeper holds sessions.
type Keeper struct {
	cfg Config
	log *slog.Logger

	noisy *slog.Logger // of what any process can have said

	mu        sync.Mutex
	sessions  map[cbox.ID]*session
	processes map[*process]struct{}
	listeners map[listenerKey]*os.File
	sizes     map[listenerKey]cbox.Config // of the boxes of those that come there, as far as they are known
	all       Share
	shares    map[uint32]Share // of all, by uid
	refused   uint64
	patience  time.Duration     // with who connects: while it is silent it keeps a descriptor from others
	early     map[slotKey]claim // of processes that were quicker than their root
	changed   chan struct{}     // closed when anything has
	closed    bool
}

// service is whose sessions a process may have: those of its user and name.
type service struct {
	uid  uint32
	name string
}

func (s service) String() string { return fmt.Sprintf("%s of uid %d", s.name, s.uid) }

// New makes a keeper that holds nothing yet.
func New(cfg Config) *Keeper {
	log := cfg.Log
	if log == nil {
		log = slog.Default()
	}
	return &Keeper{cfg: cfg, log: log, noisy: slog.New(noise.New(log.Handler(), 16)), sessions: map[cbox.ID]*session{}, processes: map[*process]struct{}{},
		listeners: map[listenerKey]*os.File{}, sizes: map[listenerKey]cbox.Config{}, shares: map[uint32]Share{}, early: map[slotKey]claim{}, changed: make(chan struct{}), patience: helloBound}
}

const (
	failedPause = 100 * time.Millisecond // before what failed is tried again
	helloBound  = 10 * time.Second
)

// Serve talks to the processes that connect to l, until l is closed.
func (k *Keeper) Serve(l *net.UnixListener) error {
	for {
		c, err := l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil { // no descriptor is left, or it has gone again
			k.noisy.Warn("accept a server's process", "err", err)
			time.Sleep(failedPause)
			continue
		}
		go k.talk(c)
	}
}

// Close lets go of everything, as a keeper that dies: processes go on with what
// they have, unprotected.
func (k *Keeper) Close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	for _, s := range k.sessions {
		s.handed, s.conn.before = nil, nil // it stays with who was told that it waits, and alone
		k.drop(s)
	}
	for p := range k.processes {
		p.end()
		delete(k.processes, p)
	}
	for key, l := range k.listeners {
		_ = l.Close()
		delete(k.listeners, key)
	}
	k.tell()
}

// tell wakes whoever waits for a change; mu is held.
func (k *Keeper) tell() {
	close(k.changed)
	k.changed = make(chan struct{})
}

// Info is one session, for listings.
type Info struct {
	ID            cbox.ID
	Name          string
	UID           uint32
	Generation    uint64
	Local, Remote netip.AddrPort
	Numbers       *mtcp.Connection // if the box knows them
	PID           int              // of the root; 0: it waits for one
	Processes     int              // of its service that live
	Bytes         int64
	Outlives      bool // its box lies in memory that outlives the kernel
}

// Sessions lists what is held.
func (k *Keeper) Sessions() []Info {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := make([]Info, 0, len(k.sessions))
	for _, s := range k.sessions {
		out = append(out, s.info())
	}
	return out
}

// info is for listings; mu is held.
func (s *session) info() Info {
	i := Info{ID: s.id, Name: s.name, UID: s.uid, Generation: s.generation, Processes: len(s.owners), Bytes: s.region.Length,
		Outlives: s.outlives, Local: s.conn.local, Remote: s.conn.remote}
	if p := s.owners[0]; p != nil {
		i.PID = p.pid
	}
	if c, ok := s.box.Numbers(); ok {
		i.Numbers = &c
	}
	return i
}

// Session is one of them.
func (k *Keeper) Session(id cbox.ID) (i Info, held bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.sessions[id]
	if s == nil {
		return Info{}, false
	}
	return s.info(), true
}

// Ended reports a session of whose connection nothing can come any more and nothing
// can go out: it goes nowhere, and what is left to read its processes read here.
func (k *Keeper) Ended(id cbox.ID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.sessions[id]
	if s == nil {
		return false
	}
	c, err := cbox.Counters(s.conn.fd)
	return err == nil && !c.State.Movable()
}

// Holds reports whether it has a session.
func (k *Keeper) Holds(id cbox.ID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.sessions[id] != nil
}

// Count is how many sessions are held.
func (k *Keeper) Count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.sessions)
}

// Wait waits until f says so of what is held, at most d.
func (k *Keeper) Wait(d time.Duration, f func([]Info) bool) bool {
	for late := time.After(d); ; {
		k.mu.Lock()
		changed := k.changed
		k.mu.Unlock()
		if f(k.Sessions()) {
			return true
		}
		select {
		case <-changed:
		case <-late:
			return false
		}
	}
}
