// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"lazystate/internal/identity"
	"lazystate/sensorbox/fleet"
)

// dialer keeps a connection to one peer, and says there what there is to say.
type dialer struct {
	m    *Mesh
	peer Peer
	news chan *fleet.Report

	connected, writing atomic.Bool
}

// Pauses between attempts to connect, and the bound of each.
const (
	firstPause   = 50 * time.Millisecond
	longestPause = 2 * time.Second
	dialBound    = 5 * time.Second
)

func (d *dialer) run() {
	pause := firstPause
	for d.m.ctx.Err() == nil {
		c, err := d.dial()
		if err == nil {
			pause = firstPause
			err = d.talk(c)
			c.Close()
		}
		d.connected.Store(false)
		d.m.complain(d.peer.Name, err)
		select {
		case <-time.After(pause):
		case <-d.m.ctx.Done():
		}
		pause = min(2*pause, longestPause, max(d.m.Beat, firstPause))
	}
}

func (d *dialer) dial() (net.Conn, error) {
	ctx, cancel := context.WithTimeout(d.m.ctx, dialBound)
	defer cancel()
	return (&tls.Dialer{Config: d.m.Identity.TLS(protocol, func(k identity.PublicKey) error {
		if k != d.peer.Key {
			return fmt.Errorf("%s at %s has another key than the configuration says", d.peer.Name, d.peer.Address)
		}
		return nil
	})}).DialContext(ctx, "tcp", d.peer.Address)
}

// talk writes reports until the peer or this side ends. A peer says nothing on
// this connection, so a read that returns is its end.
func (d *dialer) talk(c net.Conn) error {
	ended := make(chan error, 1)
	d.m.tasks.Go(func() {
		_, err := c.Read(make([]byte, 1))
		if err == nil {
			err = fmt.Errorf("%s speaks out of turn", d.peer.Name)
		}
		ended <- err
	})
	defer c.Close()
	d.connected.Store(true)
	for {
		select {
		case r := <-d.news:
			d.writing.Store(true)
			err := d.write(c, r)
			d.writing.Store(false)
			if err != nil {
				return err
			}
		case err := <-ended:
			return err
		case <-d.m.ctx.Done():
			return d.m.ctx.Err()
		}
	}
}

func (d *dialer) write(c net.Conn, r *fleet.Report) error {
	b, err := r.Encode()
	if err != nil {
		return err
	}
	if err := c.SetWriteDeadline(time.Now().Add(patience(d.m.Beat))); err != nil {
		return err
	}
	_, err = c.Write(b)
	return err
}

const leastPatience = 5 * time.Second

// patience is how long the other side may be silent, or not read.
func patience(beat time.Duration) time.Duration { return max(2*fleet.Beats*beat, leastPatience) }
