// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"lazystate/internal/identity"
	"lazystate/sensorbox/fleet"
)

// Bounds of strangers: how many may stand at the door, and for how long.
const (
	mostConns      = 64
	handshakeBound = 5 * time.Second
	acceptPause    = 100 * time.Millisecond
)

func (m *Mesh) accept() {
	places := make(chan struct{}, mostConns)
	for {
		places <- struct{}{}
		c, err := m.listener.Accept()
		if err != nil {
			if m.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			<-places
			time.Sleep(acceptPause) // no file descriptor is left, or the peer has gone
			continue
		}
		m.tasks.Go(func() {
			defer func() { <-places }()
			defer c.Close()
			host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
			if err := m.serve(c); err != nil {
				m.complain(host, err)
			}
		})
	}
}

// serve finds out who it is, and listens to him.
func (m *Mesh) serve(c net.Conn) error {
	var who Peer
	t := tls.Server(c, m.Identity.TLS(protocol, func(k identity.PublicKey) error {
		p, ok := m.byKey(k)
		if !ok {
			return errors.New("nobody here knows this key")
		}
		who = p
		return nil
	}))
	ctx, cancel := context.WithTimeout(m.ctx, handshakeBound)
	defer cancel()
	if err := t.HandshakeContext(ctx); err != nil {
		return err
	}
	conn, done := m.enter(who, t)
	defer done()
	if err := m.listen(who, conn, t); err != nil {
		return fmt.Errorf("%s: %w", who.Name, err)
	}
	return nil
}

// enter gives a connection its number, which rises, and ends the peer's older
// one: that one's reports are no news any more.
func (m *Mesh) enter(who Peer, c net.Conn) (conn uint64, done func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	conn = m.conns.Add(1)
	if old := m.talking[who.Name]; old != nil {
		old.Close()
	}
	m.talking[who.Name] = c
	end := context.AfterFunc(m.ctx, func() { c.Close() })
	return conn, func() {
		end()
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.talking[who.Name] == c {
			delete(m.talking, who.Name)
		}
	}
}

// listen takes one report after another.
func (m *Mesh) listen(who Peer, conn uint64, c net.Conn) error {
	in := bufio.NewScanner(c)
	in.Buffer(make([]byte, 0, 4096), fleet.LongestReport)
	for {
		if err := c.SetReadDeadline(time.Now().Add(patience(m.Beat))); err != nil {
			return err
		}
		if !in.Scan() {
			if err := in.Err(); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrUnexpectedEOF) {
				return err
			}
			return nil
		}
		r, err := fleet.DecodeReport(in.Bytes())
		if err != nil {
			return err
		}
		if r.Monitor != who.Name {
			return fmt.Errorf("it speaks for %q", r.Monitor)
		}
		m.Heard(conn, r)
	}
}
