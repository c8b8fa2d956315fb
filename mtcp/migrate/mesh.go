// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"lazystate/internal/identity"
	"lazystate/internal/noise"
)

// protocol is what both ends of a control connection must mean.
const protocol = "lazystate-mtcp/1"

// Peer is another server.
type Peer struct {
	Name, Address string
	Key           identity.PublicKey
	Serves        []netip.AddrPort // where clients that leave this server may go
}

// link is one of the two connections with a peer: whoever begins a move speaks
// on the one that it has dialed.
type link struct {
	peer   string
	dialed bool
}

func (l link) String() string {
	if l.dialed {
		return "to " + l.peer
	}
	return "from " + l.peer
}

// mesh is a server's connections with the others. heard and up are called by one
// goroutine for each link, in order: up(false) comes after the last frame.
type mesh struct {
	id     *identity.Identity
	peers  []Peer
	most   int // bytes of a frame's body
	heard  func(link, frame)
	up     func(link, bool)
	log    *slog.Logger
	listen net.Listener

	ctx   context.Context
	tasks sync.WaitGroup

	mu    sync.Mutex
	conns map[link]*speaker
	met   chan struct{} // closed when a connection has come
}

// speaker is the writing side of a connection.
type speaker struct {
	c    net.Conn
	mu   sync.Mutex
	done chan struct{} // its reader has ended
}

// How long is waited for a peer.
const (
	dialBound    = 5 * time.Second
	writeBound   = 30 * time.Second
	firstPause   = 50 * time.Millisecond
	longestPause = 2 * time.Second
	mostGuests   = 64 // connections that have not said who they are
)

var errNotLinked = errors.New("no connection to the server")

func newMesh(cfg Config, log *slog.Logger) *mesh {
	return &mesh{id: cfg.Identity, peers: cfg.Peers, listen: cfg.Listen, log: slog.New(noise.New(log.Handler(), 1)), most: cfg.Limits.Queues + int(cfg.Limits.Box) + 4096,
		conns: map[link]*speaker{}, met: make(chan struct{})}
}

// linked reports whether there is a connection.
func (m *mesh) linked(l link) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.conns[l] != nil
}

// await waits for a connection.
func (m *mesh) await(ctx context.Context, l link) error {
	late := time.After(dialBound)
	for {
		m.mu.Lock()
		s, met := m.conns[l], m.met
		m.mu.Unlock()
		if s != nil {
			return nil
		}
		select {
		case <-met:
		case <-late:
			return fmt.Errorf("%s: %w", l, errNotLinked)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// run serves until ctx ends.
func (m *mesh) run(ctx context.Context) {
	m.ctx = ctx
	stop := context.AfterFunc(ctx, func() {
		if m.listen != nil {
			m.listen.Close()
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, s := range m.conns {
			s.c.Close()
		}
	})
	defer stop()
	if m.listen != nil {
		m.tasks.Go(m.accept)
	}
	for _, p := range m.peers {
		m.tasks.Go(func() { m.dial(p) })
	}
	m.tasks.Wait()
}

// send says something to a peer. Without an error it may still get lost, with
// the connection: up(false) says so.
func (m *mesh) send(l link, f frame) error { return m.write(l, f, f.append(nil)) }

// write is send of what ends with f and may have others before it.
func (m *mesh) write(l link, f frame, b []byte) error {
	m.mu.Lock()
	s := m.conns[l]
	m.mu.Unlock()
	if s == nil {
		return fmt.Errorf("%s %s: %w", f, l, errNotLinked)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.c.SetWriteDeadline(time.Now().Add(writeBound))
	if err == nil {
		_, err = s.c.Write(b)
	}
	if err != nil {
		s.c.Close()
		return fmt.Errorf("%s %s: %w", f, l, err)
	}
	return nil
}

// serve is the life of a connection from when it is known whose it is. The
// peer's older one of this kind ends first.
func (m *mesh) serve(l link, c net.Conn) error {
	s := &speaker{c: c, done: make(chan struct{})}
	defer close(s.done)
	m.mu.Lock()
	for m.conns[l] != nil {
		old := m.conns[l]
		m.mu.Unlock()
		old.c.Close()
		<-old.done
		m.mu.Lock()
	}
	if m.ctx.Err() != nil {
		m.mu.Unlock()
		return c.Close()
	}
	m.conns[l] = s
	close(m.met)
	m.met = make(chan struct{})
	m.mu.Unlock()
	m.up(l, true)
	err := m.read(l, c)
	c.Close()
	m.up(l, false)
	m.mu.Lock()
	delete(m.conns, l)
	m.mu.Unlock()
	return err
}

func (m *mesh) read(l link, c net.Conn) error {
	for {
		f, err := readFrame(c, m.most)
		if err != nil {
			return err
		}
		m.heard(l, f)
	}
}

// keepAlive finds out soon that a peer's machine is gone.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 2 * time.Second, Interval: time.Second, Count: 5}

// complain logs what is wrong with somebody, at most once a minute.
func (m *mesh) complain(who string, err error) {
	if err == nil || m.ctx.Err() != nil {
		return
	}
	m.log.With("peer", who).Warn("control connection", "err", err)
}
