// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"sync"

	"lazystate/verbs/driver"
	"lazystate/verbs/internal/soft"
)

// cm connects by function calls: the network's faults do not reach it.
type cm struct{ dev *Device }

type listener struct {
	net   *Network
	addr  netip.AddrPort
	queue chan *conn
	done  chan struct{}
	once  sync.Once
}

// Listen waits at a port of the device's address.
func (c cm) Listen(local netip.AddrPort, backlog int) (driver.Listener, error) {
	if a := local.Addr(); a.IsValid() && !a.IsUnspecified() && a != c.dev.addr {
		return nil, fmt.Errorf("%v is not %v: %w", a, c.dev.addr, driver.ErrInvalid)
	}
	n := c.dev.net
	n.mu.Lock()
	defer n.mu.Unlock()
	addr := netip.AddrPortFrom(c.dev.addr, local.Port())
	for p := uint16(49152); addr.Port() == 0; p++ {
		if try := netip.AddrPortFrom(c.dev.addr, p); n.listeners[try] == nil {
			addr = try
		}
	}
	if n.listeners[addr] != nil {
		return nil, fmt.Errorf("port %d is in use: %w", addr.Port(), driver.ErrInvalid)
	}
	l := &listener{net: n, addr: addr, queue: make(chan *conn, max(backlog, 1)), done: make(chan struct{})}
	n.listeners[addr] = l
	return l, nil
}

// Resolve checks that there is a device.
func (c cm) Resolve(_ context.Context, local netip.Addr, remote netip.AddrPort) (driver.Conn, error) {
	if local.IsValid() && local != c.dev.addr {
		return nil, fmt.Errorf("%v is not %v: %w", local, c.dev.addr, driver.ErrInvalid)
	}
	return newConn(c.dev, netip.AddrPortFrom(c.dev.addr, 0), remote), nil
}

// Accept returns the next request.
func (l *listener) Accept(ctx context.Context) (driver.Conn, error) {
	for {
		select {
		case c := <-l.queue:
			if !isDone(c.peer.done) {
				return c, nil
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-l.done:
			return nil, driver.ErrClosed
		}
	}
}

// Addr returns the address listened at.
func (l *listener) Addr() netip.AddrPort { return l.addr }

// Close refuses who waits and who comes.
func (l *listener) Close() error {
	l.once.Do(func() {
		l.net.mu.Lock()
		delete(l.net.listeners, l.addr)
		l.net.mu.Unlock()
		close(l.done)
		for {
			select {
			case c := <-l.queue:
				c.answer(answer{err: &driver.RejectError{Reason: driver.RejectInvalidServiceID}})
			default:
				return
			}
		}
	})
	return nil
}

// answer is a REP or a REJ.
type answer struct {
	peer soft.Peer
	err  error
}

// conn is one side of a connection.
type conn struct {
	dev           *Device
	local, remote netip.AddrPort
	peer          *conn // set when the request is sent
	request       soft.Peer
	answers       chan answer   // to the active side
	ready         chan struct{} // RTU, to the passive side
	done          chan struct{}
	once          sync.Once

	mu sync.Mutex
	qp *soft.QP
}

func newConn(d *Device, local, remote netip.AddrPort) *conn {
	return &conn{dev: d, local: local, remote: remote, answers: make(chan answer, 1), ready: make(chan struct{}), done: make(chan struct{})}
}

// Local, Remote and Request are of the connection.
func (c *conn) Local() netip.AddrPort     { return c.local }
func (c *conn) Remote() netip.AddrPort    { return c.remote }
func (c *conn) Request() driver.ConnParam { return c.request.Param }

// Done is closed when either side has disconnected.
func (c *conn) Done() <-chan struct{} { return c.done }

func (c *conn) use(h driver.QP) (*soft.QP, error) {
	qp, err := c.dev.ByHandle(h)
	if err == nil {
		c.mu.Lock()
		c.qp = qp
		c.mu.Unlock()
	}
	return qp, err
}

func (c *conn) me(qp *soft.QP, psn uint32, p driver.ConnParam) soft.Peer {
	p.Private = bytes.Clone(p.Private)
	return soft.Peer{QPN: qp.Num, PSN: psn, GID: c.dev.gid, Param: p}
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
	psn := soft.PSN()
	if err := c.ask(c.me(qp, psn, p)); err != nil {
		return none, err
	}
	select {
	case a := <-c.answers:
		if a.err == nil {
			a.err = qp.Join(a.peer, psn, p, p.RetryCount)
		}
		if a.err != nil {
			return none, a.err
		}
		close(c.peer.ready)
		return a.peer.Param, nil
	case <-ctx.Done():
		return none, ctx.Err()
	case <-c.done:
		return none, driver.ErrClosed
	}
}

// ask puts the request into the listener's queue.
func (c *conn) ask(me soft.Peer) error {
	n := c.dev.net
	n.mu.Lock()
	defer n.mu.Unlock()
	there := n.devices[driver.GIDOf(c.remote.Addr())]
	if there == nil {
		return driver.ErrUnreachable
	}
	l := n.listeners[c.remote]
	if l == nil {
		return &driver.RejectError{Reason: driver.RejectInvalidServiceID}
	}
	c.local = netip.AddrPortFrom(c.dev.addr, uint16(32768+n.dice.IntN(16384)))
	c.peer = newConn(there, c.remote, c.local)
	c.peer.peer, c.peer.request = c, me
	select {
	case l.queue <- c.peer:
		return nil
	default:
		return &driver.RejectError{Reason: driver.RejectNoResources}
	}
}

func (c *conn) answer(a answer) {
	select {
	case c.peer.answers <- a:
	default: // answered before
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
		c.answer(answer{err: &driver.RejectError{Reason: driver.RejectNoQP}})
		return err
	}
	c.answer(answer{peer: c.me(qp, psn, p)})
	err = nil
	select {
	case <-c.ready:
	case <-ctx.Done():
		err = ctx.Err()
	case <-c.peer.done:
		err = driver.ErrUnreachable
	case <-c.done:
		err = driver.ErrClosed
	}
	if isDone(c.ready) {
		return nil // and has ended since, maybe
	}
	return err
}

// Reject says no.
func (c *conn) Reject(private []byte) error {
	if err := soft.CheckPrivate(private, driver.MaxRejectPrivate); err != nil {
		return err
	}
	c.answer(answer{err: &driver.RejectError{Reason: driver.RejectConsumer, Private: bytes.Clone(private)}})
	return nil
}

// Disconnect ends both sides.
func (c *conn) Disconnect(context.Context) error {
	c.end()
	if c.peer != nil {
		c.peer.end()
	}
	return nil
}

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
		close(c.done)
	})
}

// Close is Disconnect; of a request that was not answered it is silence.
func (c *conn) Close() error {
	select {
	case <-c.ready:
		return c.Disconnect(context.Background())
	default:
	}
	if c.peer != nil && isDone(c.peer.ready) {
		return c.Disconnect(context.Background())
	}
	c.end()
	return nil
}

func isDone(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
