// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"errors"
	"fmt"
	"runtime"

	"lazystate/dsm/wire"
)

// adopt makes a connection the link's, unless another is to be preferred: nodes may
// dial each other at the same time, and both must keep the same one.
func (l *link) adopt(c *conn, its hello, byMe bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.fits(its, byMe); err != nil {
		return err
	}
	l.drop(errReplaced)
	l.meet(its.inc)
	heard := uint64(0)
	if its.knows == l.t.cfg.Incarnation {
		heard = its.heard
	}
	if err := l.acknowledged(heard); err != nil {
		return err
	}
	l.given = 0 // all the rest, again
	next := &live{conn: c, inc: its.inc, byMe: byMe, busy: true, asked: true, reader: make(chan struct{})}
	before := l.chain
	l.chain, l.conn = next.reader, next
	l.count.links++
	close(l.met)
	l.met = make(chan struct{})
	l.t.tasks.Go(func() { l.write(next) })
	l.t.tasks.Go(func() {
		defer close(next.reader)
		<-before
		l.read(next)
	})
	return nil
}

// may is nil if adopt would take the connection.
func (l *link) may(its hello, byMe bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fits(its, byMe)
}

// fits is nil for a connection that this node should have.
func (l *link) fits(its hello, byMe bool) error {
	if err := its.supersedes(l.t.cfg.Incarnation); err != nil {
		return err
	}
	switch said := l.said(its.inc); {
	case its.inc < l.inc:
		return fmt.Errorf("incarnation %d of %v, there is %d: %w", its.inc, l.peer, l.inc, errOther)
	case its.knows == l.t.cfg.Incarnation && its.heard > said:
		return fmt.Errorf("%v has heard %d messages of incarnation %d of this node, which has sent %d: %w", its.from, its.heard, its.knows, said, ErrForgotten)
	case l.t.closed.Load():
		return errClosed
	case its.inc == l.inc && l.dead != nil:
		return l.dead
	case its.inc == l.inc && l.conn != nil && l.conn.byMe != byMe && l.preferred(l.conn.byMe):
		return fmt.Errorf("%v is connected: %w", l.peer, errReplaced)
	}
	return nil
}

// said is the last message that an incarnation of the peer can have heard.
func (l *link) said(to uint32) uint64 {
	if to != l.inc {
		return 0
	}
	return l.last
}

// preferred is the connection that the node of the higher number has dialed.
func (l *link) preferred(byMe bool) bool { return byMe == (l.t.cfg.Cluster.Self > l.peer) }

// read is the connection's reader. The program at the other end of what it hears
// waits, so it has a thread of its own.
func (l *link) read(c *live) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l.mu.Lock()
	ended := c.ended
	l.mu.Unlock()
	if ended { // before anybody knew of it
		return
	}
	l.t.recv.Up(l.peer, c.inc)
	err := l.readAll(c)
	if errors.Is(err, errNonsense) {
		l.t.recv.Nonsense(l.peer, err)
	}
	l.lose(c, err)
	l.mu.Lock()
	why := c.why
	l.mu.Unlock()
	l.t.recv.Lost(l.peer, c.inc, why)
}

func (l *link) readAll(c *live) error {
	var body []byte
	for {
		h, b, err := readFrame(c.in, body)
		if err != nil {
			return err
		}
		if body = b; cap(body) > 4*step {
			body = nil // it was a recovery's
		}
		if err := l.take(c, h, b); err != nil {
			return err
		}
	}
}

// take hears a frame.
func (l *link) take(c *live, h head, b []byte) error {
	l.mu.Lock()
	err := l.acknowledgedBy(c, h.ack)
	l.mu.Unlock()
	if err == nil {
		switch h.kind {
		case kindMessage:
			err = l.hear(c, b)
		case kindBye:
			return l.left(c, string(b))
		}
	}
	return err
}

// acknowledgedBy is of a connection that may be an earlier incarnation's by now: its
// numbers mean nothing any more.
func (l *link) acknowledgedBy(c *live, ack uint64) error {
	if c.inc != l.inc {
		return errReplaced
	}
	return l.acknowledged(ack)
}

// left notes that the peer's incarnation ends, as it says.
func (l *link) left(c *live, why string) error {
	err := fmt.Errorf("%w: %q", ErrLeft, why)
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.inc == l.inc {
		l.dead = err
	}
	return err
}

// unacknowledged is how much may have come before the other is told.
const unacknowledged = 64

// hear gives the receiver a message, unless it came before.
func (l *link) hear(c *live, b []byte) error {
	m, err := wire.ParseMessage(b, l.t.cfg.Cluster.Nodes, l.t.cfg.Cluster.PageSize)
	if err != nil {
		return nonsense("%v", err)
	}
	if m.From != l.peer || m.To != l.t.cfg.Cluster.Self || m.FromInc != c.inc || m.ToInc != l.t.cfg.Incarnation && m.ToInc != 0 {
		return nonsense("a message from %v.%d to %v.%d on the link from %v.%d to %v.%d",
			m.From, m.FromInc, m.To, m.ToInc, l.peer, c.inc, l.t.cfg.Cluster.Self, l.t.cfg.Incarnation)
	}
	isNext, err := l.note(c, m.Seq, len(b))
	if isNext {
		l.t.recv.Deliver(m)
	}
	return err
}

// note counts a message, and is true if it is the next one. One that came before is
// no error: it was sent again.
func (l *link) note(c *live, seq uint64, size int) (isNext bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.inc != l.inc {
		return false, errReplaced
	}
	l.count.received++
	l.count.receivedBytes += uint64(size)
	switch next := l.heard + 1; {
	case seq > next:
		return false, nonsense("message %d, and %d is missing", seq, next)
	case seq == next:
		l.heard, isNext = seq, true
	}
	if l.heard-c.told >= unacknowledged && l.conn == c && !c.busy {
		l.begin(c, l.beat(nil))
	}
	return isNext, nil
}
