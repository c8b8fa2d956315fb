// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"errors"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"lazystate/internal/unixsock"
	"lazystate/verbs/driver"
	"lazystate/verbs/internal/soft"
)

// conn is one side of a connection.
type conn struct {
	dev           *Device
	local, remote netip.AddrPort
	request       soft.Peer // of the passive side
	in            chan *message
	done          chan struct{}
	once          sync.Once

	mu   sync.Mutex // all below
	sock socket
	qp   *soft.QP
}

func newConn(d *Device, sock socket) *conn {
	return &conn{dev: d, sock: sock, in: make(chan *message, 4), done: make(chan struct{})}
}

// Local, Remote and Request are of the connection.
func (c *conn) Local() netip.AddrPort     { return c.local }
func (c *conn) Remote() netip.AddrPort    { return c.remote }
func (c *conn) Request() driver.ConnParam { return c.request.Param }

// Done is closed when either side has disconnected, or died.
func (c *conn) Done() <-chan struct{} { return c.done }

func (c *conn) hasEnded() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// read takes messages until the connection ends.
func (c *conn) read() {
	for {
		m, files, err := c.socket().read()
		unixsock.Close(files)
		if err != nil || m.Kind == kDREQ {
			c.end()
			return
		}
		select {
		case c.in <- m:
		default: // more than a connection has
			c.end()
			return
		}
	}
}

func (c *conn) socket() socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sock
}

func (c *conn) use(h driver.QP) (*soft.QP, error) {
	qp, err := c.dev.ByHandle(h)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.qp = qp
	return qp, err
}

// end flushes and hangs up; the peer sees that.
func (c *conn) end() {
	c.once.Do(func() {
		c.mu.Lock()
		qp := c.qp
		c.mu.Unlock()
		if qp != nil {
			qp.Lock()
			qp.Fail()
			qp.Unlock()
		}
		c.hangUp()
		close(c.done)
	})
}

func (c *conn) hangUp() {
	if s := c.socket(); s.UnixConn != nil {
		s.Close()
	}
}

func (c *conn) me(k kind, qp *soft.QP, psn uint32, p driver.ConnParam) *message {
	m := &message{
		Kind: k, GID: c.dev.gid, QPN: qp.Num, PSN: psn, From: c.local.Addr().As16(), FromPort: c.local.Port(),
		To: c.remote.Addr().As16(), ToPort: c.remote.Port(),
	}
	m.setParam(p)
	return m
}

// Connect asks the listener.
func (c *conn) Connect(ctx context.Context, h driver.QP, p driver.ConnParam) (driver.ConnParam, error) {
	none := driver.ConnParam{}
	if err := soft.CheckPrivate(p.Private, driver.MaxRequestPrivate); err != nil {
		return none, err
	}
	qp, err := c.use(h)
	if err != nil {
		return none, err
	}
	if err := c.dial(ctx); err != nil {
		return none, err
	}
	psn := soft.PSN()
	if err := c.socket().write(c.me(kREQ, qp, psn, p)); err != nil {
		return none, err
	}
	m, err := c.answer(ctx)
	if err != nil {
		return none, err
	}
	if m.Kind != kREP {
		return none, &driver.RejectError{Reason: driver.RejectReason(m.Reason), Private: m.param().Private}
	}
	peer := soft.Peer{QPN: m.QPN, PSN: m.PSN, GID: m.GID, Param: m.param()}
	if err := qp.Join(peer, psn, p, p.RetryCount); err != nil {
		return none, err
	}
	return peer.Param, c.socket().write(&message{Kind: kRTU})
}

func (c *conn) dial(ctx context.Context) error {
	sock, err := dialListener(ctx, c.remote)
	if errors.Is(err, unix.ECONNREFUSED) {
		return &driver.RejectError{Reason: driver.RejectInvalidServiceID}
	}
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.sock = sock
	c.mu.Unlock()
	if c.hasEnded() || !c.dev.track(c) {
		sock.Close()
		return driver.ErrClosed
	}
	go c.read()
	return nil
}

// answer waits for what the peer says next.
func (c *conn) answer(ctx context.Context) (*message, error) {
	select {
	case m := <-c.in:
		return m, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.done:
	}
	select {
	case m := <-c.in: // its last words
		return m, nil
	default:
		return nil, driver.ErrUnreachable
	}
}

// Accept replies and waits for the RTU.
func (c *conn) Accept(ctx context.Context, h driver.QP, p driver.ConnParam) error {
	if err := soft.CheckPrivate(p.Private, driver.MaxReplyPrivate); err != nil {
		return err
	}
	qp, err := c.use(h)
	if err != nil {
		return err
	}
	psn := soft.PSN()
	if err := qp.Join(c.request, psn, p, c.request.Param.RetryCount); err != nil {
		c.refuse(driver.RejectNoQP)
		return err
	}
	if err := c.socket().write(c.me(kREP, qp, psn, p)); err != nil {
		return err
	}
	m, err := c.answer(ctx)
	if err == nil && m.Kind != kRTU {
		err = driver.ErrUnreachable
	}
	return err
}

// Reject says no.
func (c *conn) Reject(private []byte) error {
	if err := soft.CheckPrivate(private, driver.MaxRejectPrivate); err != nil {
		return err
	}
	m := &message{Kind: kREJ, Reason: uint16(driver.RejectConsumer)}
	m.setParam(driver.ConnParam{Private: private})
	return c.socket().write(m)
}

func (c *conn) refuse(why driver.RejectReason) {
	c.socket().write(&message{Kind: kREJ, Reason: uint16(why)}) // it hears the hang-up else
	c.Close()
}

// Disconnect ends both sides: the peer sees the socket close.
func (c *conn) Disconnect(context.Context) error {
	c.end()
	return nil
}

// Close is Disconnect; of a request that was not answered it is silence.
func (c *conn) Close() error {
	c.end()
	c.dev.untrack(c)
	return nil
}
