// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"lazystate/backdoor/uapi"
)

// Channel joins two processes of a service: a ring for each direction, with
// the logs in place (§2.4.4). It is a net.Conn. A Read that finds nothing
// holds a thread of the operating system while it waits.
type Channel struct {
	s       *Session
	in, out *end

	mu              sync.Mutex
	readBy, writeBy time.Time
}

// Channels returns this process's channels to the process that associated it,
// in the order in which they were made. The root has none.
func (s *Session) Channels() []*Channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.channelsTo(s.head.ProcTable[s.slot].Parent)
}

// channelsTo pairs the n-th ring to a process with the n-th from it.
func (s *Session) channelsTo(peer uint32) []*Channel {
	var in, out []*end
	for _, e := range s.ends {
		switch {
		case e.peer != peer:
		case e.writes:
			out = append(out, e)
		default:
			in = append(in, e)
		}
	}
	var chans []*Channel
	for i := range min(len(in), len(out)) {
		chans = append(chans, &Channel{s: s, in: in[i], out: out[i]})
	}
	return chans
}

// Read reads what the other process wrote; see Conn.Read.
func (c *Channel) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return c.move(c.in, func() time.Time { return c.readBy }, func() (int, bool, uint32, error) { return c.in.read(p) })
}

// Write writes to the other process; see Conn.Write.
func (c *Channel) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, err := c.move(c.out, func() time.Time { return c.writeBy }, func() (int, bool, uint32, error) { return c.out.write(p[done:]) })
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// move repeats an attempt until it gets somewhere.
func (c *Channel) move(e *end, deadline func() time.Time, try func() (int, bool, uint32, error)) (int, error) {
	for {
		news := c.s.exports()
		c.mu.Lock()
		by := deadline()
		c.mu.Unlock()
		n, err := c.attempt(e, by, try)
		if n > 0 {
			return n, nil
		}
		if err == errAgain {
			continue
		}
		again, err := c.s.retry(err, by, news)
		if !again {
			return 0, err
		}
	}
}

var errAgain = fmt.Errorf("try again")

// attempt tries once, and sleeps if there was nothing to be had.
func (c *Channel) attempt(e *end, by time.Time, try func() (int, bool, uint32, error)) (int, error) {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.enter(); err != nil {
		return 0, err
	}
	n, wait, _, err := try()
	if !wait {
		s.leave()
		return n, err
	}
	err = c.crowded(e)
	left := secondLook
	if !by.IsZero() {
		if left = time.Until(by); left <= 0 {
			err = os.ErrDeadlineExceeded
		}
	}
	if err != nil {
		s.leave()
		return 0, err
	}
	waits := s.m.word32(e.at(uapi.CboxChanReaderWaitsOff))
	if e.writes {
		waits = s.m.word32(e.at(uapi.CboxChanWriterWaitsOff))
	}
	waits.Store(1)
	n, wait, seen, err := try() // the other may have looked before
	s.leave()
	if !wait {
		waits.Store(0)
		return n, err
	}
	s.users++
	m := s.m
	s.mu.Unlock()
	m.sleep(e.wordOff, seen, uapi.CboxHeadStateOff, uapi.CboxLive, left)
	s.mu.Lock()
	if !s.closed {
		waits.Store(0)
	}
	s.unuse()
	return 0, errAgain
}

// crowded: who waits for a process while that one waits for room in a log here
// has to export (mtcp.Reader.Crowded).
func (c *Channel) crowded(waiting *end) error {
	for _, e := range c.s.ends {
		if e.writes || e.peer != waiting.peer || e == waiting {
			continue
		}
		if head := c.s.m.word64(e.at(uapi.CboxChanHeadOff)).Load(); head > e.r.End && head-e.r.LSR <= e.r.Size {
			e.r.Fetch(head - e.r.End)
		}
		if e.r.Crowded() {
			return &LogFullError{e.String(), e.r.Pos}
		}
	}
	return nil
}

// CloseWrite tells the other process that there will be no more; CloseRead
// that nobody reads what it writes; Close does both.
func (c *Channel) CloseWrite() error { return c.s.do(func() error { c.out.close(); return nil }) }

// CloseRead: see CloseWrite.
func (c *Channel) CloseRead() error { return c.s.do(func() error { c.in.close(); return nil }) }

// Close closes both directions.
func (c *Channel) Close() error {
	return c.s.do(func() error {
		c.in.close()
		c.out.close()
		return nil
	})
}

// SetDeadline, SetReadDeadline and SetWriteDeadline are those of net.Conn. A
// call that sleeps already notices within a twentieth of a second.
func (c *Channel) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readBy, c.writeBy = t, t
	return nil
}

// SetReadDeadline: see SetDeadline.
func (c *Channel) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readBy = t
	return nil
}

// SetWriteDeadline: see SetDeadline.
func (c *Channel) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeBy = t
	return nil
}

// addr is an end of a channel.
type addr string

func (addr) Network() string  { return "cbox" }
func (a addr) String() string { return string(a) }

// LocalAddr names this process and the session, RemoteAddr the other process.
func (c *Channel) LocalAddr() net.Addr { return c.addr(c.s.slot) }

// RemoteAddr: see LocalAddr.
func (c *Channel) RemoteAddr() net.Addr { return c.addr(c.in.peer) }

func (c *Channel) addr(slot uint32) addr {
	return addr(fmt.Sprintf("%s/%d/%d", c.s.ID(), slot, c.in.idx/2))
}
