// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"context"
	"errors"
	"net"
)

// Listener accepts connections with boxes.
type Listener struct {
	*net.TCPListener
	Config Config
	// Refused is told of a connection that gets no box, because it cannot be
	// moved or the quota is used up, and decides: a connection that Accept
	// returns in its place, or nil to close it. Without it such connections
	// are served as they are.
	Refused func(net.Conn, error) net.Conn
}

// Listen is net.Listen for sessions that can move. Go's listeners speak MPTCP
// unless told otherwise, and such connections cannot be moved (DECISION 26).
func Listen(ctx context.Context, network, address string, cfg Config) (*Listener, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(ctx, network, address)
	if err != nil {
		return nil, err
	}
	t, ok := l.(*net.TCPListener)
	if !ok {
		l.Close()
		return nil, &net.OpError{Op: "listen", Net: network, Err: errors.New("not TCP")}
	}
	return &Listener{TCPListener: t, Config: cfg}, nil
}

// Accept returns a *Conn, or what Refused decides.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		tcp, err := l.AcceptTCP()
		if err != nil {
			return nil, err
		}
		c, err := Create(tcp, l.Config)
		if err == nil {
			return c, nil
		}
		if l.Refused == nil {
			return tcp, nil
		}
		if other := l.Refused(tcp, err); other != nil {
			return other, nil
		}
		tcp.Close()
	}
}

// NewBox makes the box of a connection for a process that is yet to come: a
// keeper does so for those that it finds in a listening socket's queue.
func NewBox(conn *net.TCPConn, cfg Config) (Region, error) {
	cfg.Keeper, cfg.Bell, cfg.Quota = nil, nil, nil
	c, err := Create(conn, cfg)
	if err != nil {
		return Region{}, err
	}
	c.mu.Lock()
	c.Session.release()
	c.mu.Unlock()
	return c.region, nil
}
