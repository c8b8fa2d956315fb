// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"lazystate/dsm"
	"lazystate/dsm/wire"
)

// link is all that there is with one peer.
type link struct {
	t    *Transport
	peer dsm.NodeID
	to   *sync.Cond // on mu: something is to be written, or the connection is over

	mu     sync.Mutex
	inc    uint32      // the peer's, the latest that is known; 0: none
	heard  uint64      // the last message of that incarnation
	kept   []*outgoing // not acknowledged, oldest first
	bytes  int         // of these
	given  int         // so many of them were given to the connection
	last   uint64      // the last that was given to any
	wanted bool        // a beat is to be written
	bye    string      // to be written when all else is
	conn   *live       // nil: none
	chain  chan struct{}
	dead   error // this incarnation of the peer is over for this node
	why    error // the last connection ended, or the last attempt at one; nil: there was none
	met    chan struct{}
	count  traffic
	queued atomic.Bool // Flush has something to write
	looks  atomic.Bool // and to ask for
}

// outgoing is a message with room for a frame's head.
type outgoing struct {
	seq   uint64
	toInc uint32
	frame []byte
}

// traffic counts what a link has had.
type traffic struct {
	sent, received           uint64 // messages
	sentBytes, receivedBytes uint64
	links                    uint64 // connections
}

// live is a connection whose ends know each other.
type live struct {
	*conn
	inc    uint32 // the peer's
	byMe   bool   // dialed
	rest   []byte // sealed, and not written
	busy   bool   // somebody writes, without the lock, or has to
	asked  bool   // the writer has to
	buf    []byte // of Flush
	why    error  // it ends
	ended  bool
	told   uint64 // the last ack that was written
	reader chan struct{}
}

// Errors that Receiver is given, or that say why a link is lost.
var (
	// ErrSuperseded: there is a newer incarnation of this node, and this one must end.
	ErrSuperseded = errors.New("superseded")
	// ErrForgotten: this incarnation has lived before, and knows nothing of it: its
	// checkpoints are elsewhere. It must end.
	ErrForgotten = errors.New("it has lived before, and its checkpoints are not here")
	// ErrTooLong: what cannot be sent. The peer would wait for it for ever, so this node
	// must end.
	ErrTooLong = errors.New("it is too long")
	// ErrLeft: the peer has ended as it should.
	ErrLeft = errors.New("it has left")
	// ErrSilent: nothing came for Config.Silence.
	ErrSilent = errors.New("it is silent")
	// ErrSlow: it does not take what it is sent. It must begin a new incarnation.
	ErrSlow = errors.New("it does not take what it is sent")

	errReplaced = errors.New("it has connected anew")
	errClosed   = errors.New("this node has left")
)

func newLink(t *Transport, peer dsm.NodeID) *link {
	l := &link{t: t, peer: peer, met: make(chan struct{}), chain: make(chan struct{})}
	close(l.chain)
	l.to = sync.NewCond(&l.mu)
	return l
}

// send keeps a message, and writes it if the socket takes it.
func (l *link) send(m *dsm.Message) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	toInc := m.ToInc
	if toInc == 0 {
		toInc = l.inc
	}
	if l.dead != nil || toInc < l.inc {
		return nil // it is for one that is gone
	}
	frame, err := wire.AppendMessage(make([]byte, headSize, headSize+512), m, l.t.cfg.Cluster.Nodes, l.t.cfg.Cluster.PageSize)
	if err != nil {
		return err
	}
	if n := len(frame) - headSize; n > l.t.cfg.longest {
		return fmt.Errorf("a %T of %d bytes for %v, at most %d: %w", m.Body, n, m.To, l.t.cfg.longest, ErrTooLong)
	}
	l.kept = append(l.kept, &outgoing{m.Seq, toInc, frame})
	l.bytes += len(frame)
	l.count.sent++
	l.count.sentBytes += uint64(len(frame))
	if l.bytes > l.t.cfg.MostKept {
		l.dead = fmt.Errorf("%w: %d bytes are kept for it", ErrSlow, l.bytes)
		l.drop(l.dead)
		l.forget()
		return nil
	}
	switch c := l.conn; {
	case c == nil || c.busy: // who has it, or the next connection, takes this too
	case l.t.flushed.Load():
		l.queued.Store(true)
	default:
		l.writeOne(c)
	}
	return nil
}

// flush writes what is queued, without the lock: who is woken by it may run at once,
// and whoever sends next would wait for this thread to come back.
func (l *link) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queued.Store(false)
	c := l.conn
	if c == nil || c.busy {
		return
	}
	c.busy = true
	for !c.ended {
		b := l.fill(c, c.buf[:0])
		if len(b) == 0 {
			c.busy = false
			return
		}
		l.mu.Unlock()
		n, err := c.raw.TryWrite(b)
		l.mu.Lock()
		switch {
		case err != nil:
			l.end(c, err)
		case n < len(b):
			c.rest = b[n:]
			l.ask(c)
			return
		case c.tls == nil && cap(b) <= batch:
			c.buf = b
		}
	}
}

// ask has the writer write.
func (l *link) ask(c *live) {
	c.busy, c.asked = true, true
	l.to.Broadcast()
}

// writeOne gives the connection the next message, as much as it takes at once.
func (l *link) writeOne(c *live) {
	o := l.kept[l.given]
	l.given++
	l.begin(c, l.stamp(o))
}

// stamp puts the head before a message.
func (l *link) stamp(o *outgoing) []byte {
	l.last = max(l.last, o.seq)
	head{uint32(len(o.frame) - headSize), kindMessage, l.heard}.put(o.frame)
	return o.frame
}

// begin writes what goes at once; the writer has the rest.
func (l *link) begin(c *live, b []byte) {
	c.told = l.heard
	sealed, err := c.seal(b)
	n := 0
	if err == nil {
		n, err = c.raw.TryWrite(sealed)
	}
	if err != nil {
		l.end(c, err)
		return
	}
	if n < len(sealed) {
		c.rest = sealed[n:]
		l.ask(c)
	}
}

// batch is how much the writer takes at a time.
const batch = 256 << 10

// write is the connection's writer: what Send could not write, and what was kept
// from before the connection.
func (l *link) write(c *live) {
	var b []byte
	for {
		l.mu.Lock()
		for !c.ended && !c.asked {
			l.to.Wait()
		}
		if c.ended {
			l.mu.Unlock()
			return
		}
		b = l.fill(c, b[:0])
		if len(b) == 0 {
			c.busy, c.asked = false, false
			l.mu.Unlock()
			continue
		}
		l.mu.Unlock()
		if _, err := c.raw.Write(b); err != nil {
			l.lose(c, err)
			return
		}
	}
}

// fill takes what is to be written next.
func (l *link) fill(c *live, b []byte) []byte {
	if len(c.rest) > 0 {
		b = append(b, c.rest...)
		c.rest = nil
		return b
	}
	for l.given < len(l.kept) && len(b) < batch {
		b = append(b, l.stamp(l.kept[l.given])...)
		l.given++
	}
	if len(b) == 0 && l.wanted {
		b = l.beat(b)
	}
	if len(b) == 0 && l.bye != "" {
		b = appendFrame(b, kindBye, l.heard, l.bye)
		l.bye = ""
	}
	if len(b) == 0 {
		return b
	}
	c.told = l.heard
	sealed, err := c.seal(b)
	if err != nil {
		l.end(c, err)
		return b[:0]
	}
	return sealed
}

func (l *link) beat(b []byte) []byte {
	l.wanted = false
	return appendFrame(b, kindBeat, l.heard, "")
}

func appendFrame(b []byte, k kind, ack uint64, text string) []byte {
	var hb [headSize]byte
	head{uint32(len(text)), k, ack}.put(hb[:])
	return append(append(b, hb[:]...), text...)
}

// acknowledged forgets what the peer has heard: on this connection or on one before,
// where its reader was not through when it said hello.
func (l *link) acknowledged(ack uint64) error {
	if ack > l.last {
		return nonsense("it has heard message %d, and %d is the last", ack, l.last)
	}
	n := 0
	for n < len(l.kept) && l.kept[n].seq <= ack {
		l.bytes -= len(l.kept[n].frame)
		n++
	}
	if n > 0 {
		clear(l.kept[:n])
		l.kept, l.given = l.kept[n:], max(l.given-n, 0)
	}
	if len(l.kept) == 0 {
		l.kept = nil
	}
	return nil
}

// forget drops what is kept.
func (l *link) forget() { l.kept, l.bytes, l.given = nil, 0, 0 }

// meet learns of an incarnation: what was for another is not for it.
func (l *link) meet(inc uint32) {
	if inc == l.inc {
		return
	}
	var kept []*outgoing
	l.bytes = 0
	for _, o := range l.kept {
		if o.toInc == inc || o.toInc == 0 {
			o.toInc = inc
			kept = append(kept, o)
			l.bytes += len(o.frame)
		}
	}
	l.kept, l.given, l.last, l.heard, l.inc, l.dead = kept, 0, 0, 0, inc, nil
}

// end ends a connection. Its reader says so to the receiver.
func (l *link) end(c *live, why error) {
	if c.ended {
		return
	}
	c.ended, c.why = true, why
	if l.conn == c {
		l.conn, l.why = nil, why
	}
	l.to.Broadcast()
	go c.raw.Close() // it waits for who is in a call there, maybe the caller
}

func (l *link) lose(c *live, why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end(c, why)
}

// drop ends the connection that there is.
func (l *link) drop(why error) {
	if l.conn != nil {
		l.end(l.conn, why)
	}
}

// fails notes why there is no connection yet, for who waits for one.
func (l *link) fails(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil {
		l.why = why
	}
}

// passed forgets a reason that holds no more, unless there is another one by now.
func (l *link) passed(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.why == why {
		l.why = nil
	}
}

// missing is the peer if there is no connection with it, and why.
func (l *link) missing() string {
	switch {
	case l.conn != nil:
		return ""
	case l.why == nil:
		return fmt.Sprintf("%v (it was never there)", l.peer)
	}
	return fmt.Sprintf("%v (%v)", l.peer, l.why)
}
