// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/unixsock"
	"lazystate/verbs/driver"
	"lazystate/verbs/internal/soft"
)

// cm connects over a socket that is named after address and port, and lives as
// long as the connection: its end is the peer's end.
type cm struct{ dev *Device }

// CM returns the connection manager.
func (d *Device) CM() (driver.CM, error) { return cm{d}, nil }

func listenName(a netip.AddrPort) string { return "@lazystate/verbs/shm/cm/" + a.String() }

type listener struct {
	dev   *Device
	addr  netip.AddrPort
	sock  *net.UnixListener
	queue chan *conn
	done  chan struct{}
	once  sync.Once
}

// track keeps what the device closes with itself; false: it is closed.
func (d *Device) track(c interface{ Close() error }) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.calls[c] = struct{}{}
	}
	return !d.closed
}

func (d *Device) untrack(c interface{ Close() error }) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.calls, c)
}

// Listen waits at an address: any one, since it is a name here.
func (c cm) Listen(local netip.AddrPort, backlog int) (driver.Listener, error) {
	if !local.Addr().IsValid() {
		local = netip.AddrPortFrom(netip.IPv4Unspecified(), local.Port())
	}
	l := &listener{dev: c.dev, addr: local, queue: make(chan *conn, max(backlog, 1)), done: make(chan struct{})}
	var err error
	for tries := 0; l.sock == nil; tries++ {
		if local.Port() == 0 {
			l.addr = netip.AddrPortFrom(local.Addr(), 49152+uint16(rand.IntN(16384)))
		}
		l.sock, err = listenUnix(listenName(l.addr))
		if err != nil && (local.Port() != 0 || !errors.Is(err, unix.EADDRINUSE) || tries > 100) {
			return nil, err
		}
	}
	if !c.dev.track(l) {
		l.sock.Close()
		return nil, driver.ErrClosed
	}
	go l.serve()
	return l, nil
}

// requestTimeout is what a dialer has to send its request in.
const requestTimeout = 5 * time.Second

func (l *listener) serve() {
	for {
		c, err := next(l.sock.AcceptUnix)
		if err != nil {
			return
		}
		go l.request(c)
	}
}

// request takes one request off a new socket.
func (l *listener) request(sock socket) {
	c := newConn(l.dev, sock)
	if sock.checkPeer() != nil {
		c.hangUp()
		return
	}
	sock.SetReadDeadline(time.Now().Add(requestTimeout))
	m, files, err := sock.read()
	unixsock.Close(files)
	sock.SetReadDeadline(time.Time{})
	if err != nil || m.Kind != kREQ || !l.dev.track(c) {
		c.hangUp()
		return
	}
	c.request = soft.Peer{QPN: m.QPN, PSN: m.PSN, GID: m.GID, Param: m.param()}
	c.local, c.remote = addrPort(m.To, m.ToPort), addrPort(m.From, m.FromPort)
	go c.read()
	select {
	case <-l.done:
		c.refuse(driver.RejectInvalidServiceID)
	case l.queue <- c:
	default:
		c.refuse(driver.RejectNoResources)
	}
}

// Accept returns the next request.
func (l *listener) Accept(ctx context.Context) (driver.Conn, error) {
	for {
		select {
		case c := <-l.queue:
			if !c.hasEnded() {
				return c, nil
			}
			c.Close()
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
		l.sock.Close()
		close(l.done)
		l.dev.untrack(l)
		for {
			select {
			case c := <-l.queue:
				c.refuse(driver.RejectInvalidServiceID)
			default:
				return
			}
		}
	})
	return nil
}

// Resolve prepares a connection; who listens there is seen by Connect.
func (c cm) Resolve(_ context.Context, local netip.Addr, remote netip.AddrPort) (driver.Conn, error) {
	if !remote.IsValid() || remote.Port() == 0 {
		return nil, fmt.Errorf("no such address: %v: %w", remote, driver.ErrInvalid)
	}
	if !local.IsValid() {
		local = remote.Addr()
	}
	n := newConn(c.dev, socket{})
	n.local, n.remote = netip.AddrPortFrom(local, 0), remote
	return n, nil
}

// Offered returns nil if a process of this host listens at remote that is ours
// or root's: who may take another way asks before it prepares a connection.
func Offered(ctx context.Context, remote netip.AddrPort) error {
	s, err := dialListener(ctx, remote)
	if err != nil {
		return err
	}
	return s.Close()
}

// dialListener finds who listens at an address, or at all of this host.
func dialListener(ctx context.Context, remote netip.AddrPort) (socket, error) {
	any := netip.IPv4Unspecified()
	if remote.Addr().Is6() {
		any = netip.IPv6Unspecified()
	}
	sock, err := dialUnix(ctx, listenName(remote))
	if errors.Is(err, unix.ECONNREFUSED) {
		sock, err = dialUnix(ctx, listenName(netip.AddrPortFrom(any, remote.Port())))
	}
	return sock, err
}
