// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"

	"lazystate/internal/seqnum"
	"lazystate/verbs/driver"
	"lazystate/verbs/roce/wire"
)

// connState is a connection's place in the state diagrams of 12.9.
type connState uint8

const (
	connIdle connState = iota
	connREQSent
	connREQReceived
	connREPSent
	connEstablished
	connDREQSent
	connTimewait // late messages are still answered
	connClosed
)

var connStateNames = [...]string{"idle", "REQ sent", "REQ received", "REP sent", "established", "DREQ sent", "timewait", "closed"}

func (s connState) String() string { return connStateNames[s] }

// conn is one connection in the making or made.
type conn struct {
	m             *manager
	local, remote netip.AddrPort
	path          path

	// Of the engine.
	id, peerID uint32
	key        peerID // in byPeer, if the peer began
	state      connState
	tid        uint64
	qp         *queuePair
	peerQPN    uint32
	psn        seqnum.PSN // where the peer begins to send
	param      driver.ConnParam
	req        wire.REQ // sent or received
	reply      driver.ConnParam
	last       encoder // what a repetition of the peer's, or our timer, makes us send again
	lastAttr   wire.Attr
	lastTID    uint64
	tries      int
	waits      int64 // the timer's interval
	due        int64
	alarm      alarm
	shut       bool // done is closed

	answer chan error // to who is in Connect or Accept
	done   chan struct{}
	ended  chan struct{} // a Disconnect has its DREP, or gave up
}

func newConn(m *manager, p path) *conn {
	return &conn{m: m, path: p, answer: make(chan error, 1), done: make(chan struct{}), ended: make(chan struct{})}
}

func (c *conn) Local() netip.AddrPort     { return c.local }
func (c *conn) Remote() netip.AddrPort    { return c.remote }
func (c *conn) Request() driver.ConnParam { return c.param }
func (c *conn) Done() <-chan struct{}     { return c.done }

func (c *conn) alive() bool {
	c.m.d.mu.Lock()
	defer c.m.d.mu.Unlock()
	return c.state == connREQReceived
}

// use binds a queue pair to the connection.
func (c *conn) use(h driver.QP, want connState) error {
	q, err := c.m.d.qp(h)
	switch {
	case err != nil:
		return err
	case c.state != want:
		return fmt.Errorf("connection to %v is %v: %w", c.remote, c.state, driver.ErrInvalid)
	case q.typ != driver.RC || q.conn != nil && q.conn.state < connDREQSent || q.state > driver.QPInit:
		return fmt.Errorf("QP %d is in %v, or has a connection: %w", h, q.state, driver.ErrInvalid)
	}
	c.qp, q.conn = q, c
	if q.state == driver.QPReset {
		a := driver.QPAttr{State: driver.QPInit, Port: 1, Access: remoteAccess}
		return q.modify(&a, driver.QPMaskState|driver.QPMaskPort|driver.QPMaskAccess|driver.QPMaskPKeyIndex)
	}
	return nil
}

// Connect asks the passive side.
func (c *conn) Connect(ctx context.Context, h driver.QP, p driver.ConnParam) (driver.ConnParam, error) {
	if len(p.Private) > driver.MaxRequestPrivate {
		return driver.ConnParam{}, fmt.Errorf("%d bytes of private data, at most %d: %w", len(p.Private), driver.MaxRequestPrivate, driver.ErrInvalid)
	}
	if err := c.begin(func() error { return c.ask(h, p) }); err != nil {
		return driver.ConnParam{}, err
	}
	if err := c.await(ctx); err != nil {
		return driver.ConnParam{}, err
	}
	return c.reply, nil
}

// Accept replies and waits until the active side has it.
func (c *conn) Accept(ctx context.Context, h driver.QP, p driver.ConnParam) error {
	if len(p.Private) > driver.MaxReplyPrivate {
		return fmt.Errorf("%d bytes of private data, at most %d: %w", len(p.Private), driver.MaxReplyPrivate, driver.ErrInvalid)
	}
	if err := c.begin(func() error { return c.agree(h, p) }); err != nil {
		return err
	}
	return c.await(ctx)
}

// Reject refuses a request, with the caller's reasons.
func (c *conn) Reject(private []byte) error {
	if len(private) > driver.MaxRejectPrivate {
		return fmt.Errorf("%d bytes of private data, at most %d: %w", len(private), driver.MaxRejectPrivate, driver.ErrInvalid)
	}
	return c.begin(func() error {
		if c.state != connREQReceived {
			return fmt.Errorf("reject: connection to %v is %v: %w", c.remote, c.state, driver.ErrInvalid)
		}
		c.refuse(driver.RejectConsumer, private, c.m.d.now())
		return nil
	})
}

// begin runs f as the engine.
func (c *conn) begin(f func() error) error {
	d := c.m.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return driver.ErrClosed
	}
	err := f()
	d.tx.flush()
	return err
}

// await waits for the handshake's end; a caller that gives up ends it.
func (c *conn) await(ctx context.Context) error {
	select {
	case err := <-c.answer:
		return err
	case <-ctx.Done():
		_ = c.begin(func() error {
			c.refuse(driver.RejectTimeout, nil, c.m.d.now())
			return nil
		})
		select {
		case err := <-c.answer: // it ended in the same moment
			if err == nil {
				return nil
			}
		default:
		}
		return context.Cause(ctx)
	}
}

// tell ends the wait of Connect or Accept.
func (c *conn) tell(err error) {
	select {
	case c.answer <- err:
	default:
	}
}

// Disconnect sends a DREQ and waits for the DREP.
func (c *conn) Disconnect(ctx context.Context) error {
	err := c.begin(func() error {
		c.disconnect(c.m.d.now())
		return nil
	})
	if err != nil {
		return err
	}
	select {
	case <-c.ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close ends the connection without waiting: a made one is disconnected, one in
// the making dropped without a word.
func (c *conn) Close() error {
	d := c.m.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	now := d.now()
	switch c.state {
	case connEstablished, connDREQSent:
		c.disconnect(now)
	case connTimewait, connClosed:
	default:
		c.forget()
	}
	d.tx.flush()
	return nil
}

// transmit sends a message and remembers it; tries is how often it may be sent.
func (c *conn) transmit(tid uint64, attr wire.Attr, msg encoder, repeat bool, now int64) {
	c.last, c.lastAttr, c.lastTID = msg, attr, tid
	c.tries, c.waits, c.due = 1, madFirstRetry, 0
	if repeat {
		c.due = now + c.waits
		c.m.d.set(&c.alarm, c)
	}
	c.m.send(&c.path, tid, attr, msg)
}

// repeat sends the last message again.
func (c *conn) repeat() {
	if c.last != nil {
		c.m.send(&c.path, c.lastTID, c.lastAttr, c.last)
	}
}

func (c *conn) deadline() int64 { return c.due }
func (c *conn) alarmOf() *alarm { return &c.alarm }

// expire repeats what was not answered, until it is given up.
func (c *conn) expire(now int64) {
	most := madTries
	if c.state == connDREQSent {
		most = dreqTries
	}
	switch {
	case c.state == connTimewait:
		c.forget()
		return
	case c.tries < most:
		c.tries++
		c.waits = min(2*c.waits, madMaxRetry)
		c.due = now + c.waits
		c.repeat()
		return
	case c.state == connDREQSent:
		c.gone(now)
		return
	}
	c.tell(fmt.Errorf("connect with %v: %d messages were not answered: %w", c.remote, c.tries, driver.ErrUnreachable))
	c.refuse(driver.RejectTimeout, nil, now)
}

// finish closes Done; the queue pair is in the error state then. Once: it may be
// another connection's before this one is forgotten.
func (c *conn) finish() {
	if c.shut {
		return
	}
	c.shut = true
	if c.qp != nil {
		c.qp.fatal()
	}
	close(c.done)
}

// wait keeps the connection until late messages have died.
func (c *conn) wait(now int64) {
	c.state, c.due = connTimewait, now+timewait
	c.m.d.set(&c.alarm, c)
}

// forget drops the connection from the manager.
func (c *conn) forget() {
	c.state, c.due = connClosed, 0
	delete(c.m.conns, c.id)
	if c.m.byPeer[c.key] == c {
		delete(c.m.byPeer, c.key)
	}
	if with := c.farEnd(); c.m.made[with] == c {
		delete(c.m.made, with)
	}
	if c.qp != nil && c.qp.conn == c {
		c.qp.conn = nil
	}
	c.tell(driver.ErrClosed)
	c.finish()
	c.end()
}

// end lets Disconnect return.
func (c *conn) end() {
	select {
	case <-c.ended:
	default:
		close(c.ended)
	}
}

// privateOf copies private data and what is not sent behind them.
func privateOf(b []byte) []byte { return bytes.Clone(b) }
