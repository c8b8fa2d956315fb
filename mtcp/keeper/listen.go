// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"errors"
	"net"
	"sync"
	"time"

	"lazystate/mtcp/cbox"
)

// Listener accepts what its socket does and what the keeper hands over, as if
// it were all new: an ordinary server goes on with the sessions of one that died.
// Those that waited for a process when this one came are accepted before what is
// new at the socket.
type Listener struct {
	*cbox.Listener
	client *Client

	begin func() // to accept what is new
	got   chan accepted
	stop  chan struct{}
	once  sync.Once
}

type accepted struct {
	conn net.Conn
	err  error
}

func newListener(c *Client, l *cbox.Listener) *Listener {
	out := &Listener{Listener: l, client: c, got: make(chan accepted), stop: make(chan struct{})}
	out.begin = sync.OnceFunc(func() { go out.fresh() })
	go out.run(out.take, false)
	return out
}

// fresh accepts what is new, when all that waited has been accepted: run passes on what it
// has taken before it takes the word that this was all.
func (l *Listener) fresh() {
	select {
	case <-l.client.left:
		l.run(l.Listener.Accept, true)
	case <-l.stop:
	}
}

// Left are the sessions that waited for a process when this one came: for a server whose
// sessions need to know of each other before the first of them goes on. It is called before
// Accept, if at all.
func (l *Listener) Left() (all []net.Conn, err error) {
	for {
		select {
		case a := <-l.got:
			all = append(all, a.conn)
		case <-l.client.left:
			return all, nil
		case <-l.stop:
			return all, net.ErrClosed
		}
	}
}

// run passes on what accept returns until it is closed. Its errors are the listener's
// if it says so: without a keeper the socket goes on. Most pass, as that of a process
// which has no descriptor left.
func (l *Listener) run(accept func() (net.Conn, error), tell bool) {
	for {
		c, err := accept()
		if err != nil && !tell {
			if errors.Is(err, net.ErrClosed) || !l.pause() {
				return
			}
			continue
		}
		select {
		case l.got <- accepted{c, err}:
		case <-l.stop:
			if c != nil {
				abandon(c)
			}
			return
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

// pause is before what failed is tried again; false: nobody wants it any more.
func (l *Listener) pause() bool {
	select {
	case <-time.After(failedPause):
		return true
	case <-l.stop:
		return false
	}
}

// abandon leaves a session that came too late to the keeper.
func abandon(c net.Conn) {
	if s, ok := c.(*cbox.Conn); ok {
		s.Abandon()
		return
	}
	_ = c.Close()
}

// take waits for a session of another process. Slots of children are for
// processes that have no listener: see Client.Take.
func (l *Listener) take() (net.Conn, error) {
	for {
		p, err := l.client.Take()
		if bad := (*cbox.PassError)(nil); errors.As(err, &bad) && bad.Slot == 0 {
			l.client.Done(bad.Session, bad.Generation)
		}
		if err != nil {
			return nil, err
		}
		if p.Conn == nil {
			_ = p.Region.File.Close()
			continue
		}
		c, err := cbox.Resume(p.Region, p.Conn, l.Config)
		if err == nil {
			return c, nil
		}
		_ = p.Conn.Close()
		_ = p.Region.File.Close()
		if !errors.Is(err, net.ErrClosed) && !errors.Is(err, cbox.ErrMigrated) {
			l.client.Done(p.Session, p.Generation) // it cannot go on: its client gets a reset
		}
	}
}

// Accept returns a *cbox.Conn, new or resumed, or what Refused decides.
func (l *Listener) Accept() (net.Conn, error) {
	l.begin()
	select {
	case a := <-l.got:
		return a.conn, a.err
	case <-l.stop:
		return nil, net.ErrClosed
	}
}

// Close stops accepting. The keeper's descriptor of the socket stays: what is in
// its queue waits for the next process.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.stop) })
	return l.Listener.Close()
}
