// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"lazystate/internal/identity"
)

// dial keeps a connection to a peer.
func (m *mesh) dial(p Peer) {
	pause := firstPause
	for m.ctx.Err() == nil {
		c, err := reach(m.ctx, m.id, p, protocol)
		if err == nil {
			pause = firstPause
			err = m.serve(link{p.Name, true}, c)
		}
		m.complain(p.Name, err)
		select {
		case <-time.After(pause):
		case <-m.ctx.Done():
		}
		pause = min(2*pause, longestPause)
	}
}

// accept admits servers that the configuration names, and no more strangers at a
// time than it has patience with.
func (m *mesh) accept() {
	places := make(chan struct{}, mostGuests)
	for {
		places <- struct{}{}
		c, err := m.listen.Accept()
		if err != nil {
			<-places
			if m.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(firstPause) // no descriptor is left, or the peer has gone
			continue
		}
		m.tasks.Go(func() {
			l, t, err := m.admit(c)
			<-places
			if err == nil {
				err = m.serve(l, t)
			}
			host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
			c.Close()
			m.complain(host, err)
		})
	}
}

// admit finds out who it is.
func (m *mesh) admit(c net.Conn) (link, net.Conn, error) {
	var who string
	t := tls.Server(c, m.id.TLS(protocol, func(k identity.PublicKey) error {
		for _, p := range m.peers {
			if p.Key == k {
				who = p.Name
				return nil
			}
		}
		return errors.New("nobody here knows this key")
	}))
	ctx, cancel := context.WithTimeout(m.ctx, dialBound)
	defer cancel()
	if err := t.HandshakeContext(ctx); err != nil {
		return link{}, nil, err
	}
	return link{who, false}, t, nil
}
