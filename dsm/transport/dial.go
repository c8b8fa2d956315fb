// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/dsm"
	"lazystate/internal/pause"
)

// How long is waited for a peer.
const (
	helloBound   = 5 * time.Second // a whole handshake
	firstPause   = 5 * time.Millisecond
	longestPause = time.Second
	mostGuests   = 64 // connections that have not said who they are
)

// dial connects with a peer whenever there is no connection.
func (t *Transport) dial(l *link) {
	wait := firstPause
	last := ""
	for t.ctx.Err() == nil {
		if !l.awaitTurn(t.ctx) {
			continue
		}
		err := t.dialOnce(l)
		if err == nil {
			wait, last = firstPause, ""
			continue
		}
		if t.ctx.Err() == nil {
			l.fails(err)
		}
		if told(err) && err.Error() != last && t.ctx.Err() == nil {
			last = err.Error()
			t.recv.Nonsense(l.peer, fmt.Errorf("connect with %v: %w", l.peer, err))
		}
		if ends(err) {
			return
		}
		if pause.For(t.ctx, wait) != nil {
			return
		}
		wait = min(2*wait, longestPause)
	}
}

// told is true for what does not pass by itself.
func told(err error) bool {
	return errors.Is(err, errOther) || errors.Is(err, errKey) || errors.Is(err, errPlain) || ends(err)
}

// ends is true for what an incarnation must end of.
func ends(err error) bool { return errors.Is(err, ErrSuperseded) || errors.Is(err, ErrForgotten) }

// awaitTurn waits a while for the time to dial, and is true if it has come: when
// there is no connection. The node of the higher number dials; one that was restarted
// dials everybody, for it may live elsewhere now; and when a connection was lost both
// do, the other one later: it may be what nobody looks for any more.
func (l *link) awaitTurn(ctx context.Context) bool {
	l.mu.Lock()
	c, met := l.conn, l.met
	mine := l.peer < l.t.cfg.Cluster.Self || l.t.cfg.Incarnation > 1
	dead, lost := l.dead != nil, l.count.links > 0
	l.mu.Unlock()
	var until <-chan struct{}
	switch {
	case c != nil:
		until = c.reader
	case dead: // its next incarnation calls
		until = met
	case mine:
		return true
	case lost:
		if pause.For(ctx, longestPause) != nil {
			return false
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.conn == nil
	default:
		until = met
	}
	select {
	case <-until:
	case <-ctx.Done():
	}
	return false
}

func (t *Transport) dialOnce(l *link) error {
	address, err := t.cfg.Address(l.peer)
	if err != nil {
		return err
	}
	if address == "" {
		return errors.New("nobody knows its address")
	}
	if onRDMA(address) {
		c, err := t.dialRDMA(t.ctx, address)
		return t.dialed(l, c, err)
	}
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	dial := (&net.Dialer{Timeout: helloBound}).DialContext
	if t.cfg.dials != nil {
		dial = t.cfg.dials
	}
	c, err := dial(t.ctx, network, address)
	return t.dialed(l, c, err)
}

// dialed shakes hands with who was dialed.
func (t *Transport) dialed(l *link, c net.Conn, err error) error {
	if err != nil {
		return err
	}
	far := c.RemoteAddr()
	return t.shake(c, func(raw *pulse) (*conn, hello, error) {
		c := plain(raw, raw)
		if t.cfg.everywhere || !local(far) {
			if c, err = secure(raw, raw, t.id, true); err != nil {
				return nil, hello{}, err
			}
		}
		its, err := greet(c, c.bind, t.cfg.Key[:], l.hello())
		if err == nil && its.from != l.peer {
			err = fmt.Errorf("it is %v: %w", its.from, errOther)
		}
		return c, its, err
	}, true)
}

// accept takes those who dial.
func (t *Transport) accept(from net.Listener) {
	var deaf error // it took nobody, the last time
	for t.ctx.Err() == nil && !t.closed.Load() {
		c, err := from.Accept()
		if err != nil {
			if pause.For(t.ctx, firstPause) != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			deaf = fmt.Errorf("listen at %v: %w", from.Addr(), err)
			for _, l := range t.peers() { // whoever it was
				l.fails(deaf)
			}
			continue
		}
		if deaf != nil {
			for _, l := range t.peers() {
				l.passed(deaf)
			}
			deaf = nil
		}
		select {
		case t.guests <- struct{}{}:
		default: // a stranger more would take the place of a node
			c.Close()
			continue
		}
		t.tasks.Go(func() {
			defer func() { <-t.guests }()
			t.acceptOne(c)
		})
	}
}

func (t *Transport) acceptOne(c net.Conn) {
	far := c.RemoteAddr()
	var who dsm.NodeID
	proven := false // that it is who
	err := t.shake(c, func(raw *pulse) (*conn, hello, error) {
		c, err := accepted(raw, far, t.id)
		if err != nil {
			return nil, hello{}, err
		}
		its, err := answer(c, c.bind, t.cfg.Key[:], func(to dsm.NodeID) hello {
			if int(to) >= len(t.links) || t.links[to] == nil {
				return newHello(t.cfg.Cluster, t.cfg.Incarnation, to) // what does not fit is told
			}
			who = to
			return t.links[to].hello()
		}, func(its hello) error {
			proven = true
			return t.links[its.from].may(its, false)
		})
		return c, its, err
	}, false)
	if err != nil && proven && t.ctx.Err() == nil {
		t.links[who].fails(fmt.Errorf("connected from %v: %w", far, err))
	}
	if err != nil && told(err) && t.ctx.Err() == nil && t.mayTell() {
		t.recv.Nonsense(who, fmt.Errorf("connected from %v: %w", far, err))
	}
}

// What strangers can have the receiver told: so many at once, then one a while.
const (
	mostTold  = 16
	tellAgain = time.Minute
)

// mayTell is true while that is not exceeded.
func (t *Transport) mayTell() bool {
	t.tell.mu.Lock()
	defer t.tell.mu.Unlock()
	if t.tell.count >= mostTold && t.now()-t.tell.last < tellAgain {
		return false
	}
	t.tell.count, t.tell.last = t.tell.count+1, t.now()
	return true
}

// conduitOf is what carries bytes of a connection of package net, apart from it.
func conduitOf(c net.Conn) (conduit, error) {
	if w, ok := c.(*wired); ok {
		return w, nil
	}
	return take(c)
}

// shake makes a connection of package net a link's, if hands are shaken in time.
func (t *Transport) shake(c net.Conn, hands func(*pulse) (*conn, hello, error), byMe bool) error {
	s, err := conduitOf(c)
	if err != nil {
		return err
	}
	late := time.AfterFunc(helloBound, func() { s.Close() })
	defer late.Stop()
	unclosed := context.AfterFunc(t.ctx, func() { s.Close() })
	defer unclosed()
	raw := &pulse{conduit: s, now: t.now}
	raw.last.Store(int64(t.now()))
	cn, its, err := hands(raw)
	if err == nil {
		cn, err = t.settle(s, cn, its, byMe)
	}
	if err == nil && !late.Stop() {
		err = errors.New("too late")
	}
	if err == nil {
		err = t.links[its.from].adopt(cn, its, byMe)
	}
	switch {
	case err != nil && cn != nil:
		cn.raw.Close()
	case err != nil:
		s.Close()
	}
	return err
}

// settle makes rings of a unix socket, has TCP send at once, and over RDMA has both
// read each other's shelves.
func (t *Transport) settle(carries conduit, c *conn, its hello, byMe bool) (*conn, error) {
	if w, ok := carries.(*wired); ok {
		return c, t.lend(w, c, its)
	}
	s := carries.(*socket)
	onUnix, err := s.onUnix()
	if err != nil {
		return c, err
	}
	if !onUnix {
		_ = unix.SetsockoptInt(s.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // or it is slower
		return c, nil
	}
	rings, err := share(s, byMe, t.offer(its))
	if err != nil {
		return c, err
	}
	raw := &pulse{conduit: rings, now: t.now}
	raw.last.Store(int64(t.now()))
	return plain(raw, raw), nil
}

// hello is this node's, to a peer.
func (l *link) hello() hello {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := newHello(l.t.cfg.Cluster, l.t.cfg.Incarnation, l.peer)
	h.knows, h.heard = l.inc, l.heard
	return h
}
