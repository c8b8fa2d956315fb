// SPDX-License-Identifier: Apache-2.0

package web

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"lazystate/mtcp/cbox"
)

// Boxes are those that web sessions need: a snapshot holds a request of up to
// 56 KiB; a longer body has to fit into the log. Memory is used as it is touched.
func Boxes() cbox.Config {
	return cbox.Config{Snapshot: 64 << 10, Log: 1 << 20, Hold: 256 << 10}
}

const (
	mostHead    = 32 << 10 // of a request's header
	mostKept    = 56 << 10 // of a request, that it may be in a snapshot
	exportEvery = 8 << 10  // bytes of a response
	readAhead   = 4 << 10
)

// Conn is a session as net/http sees it. One goroutine reads at a time, and
// one writes.
type Conn struct {
	*cbox.Conn

	rmu    sync.Mutex // held while bytes of the session are on their way into input
	frame  frame
	input  []byte // read since the request began
	given  int    // of it, to the server
	unkept bool   // input is not all of it
	begins uint64 // where in the client's stream

	wmu    sync.Mutex // held while bytes are on their way into the session
	date   time.Time
	held   bool
	done   uint64 // bytes of the response that the session has been given, before this process too
	skip   uint64 // of them, which are yet to be repeated here
	saved  uint64 // done at the last export
	values [][]byte
	turn   int // of Once

	mu      sync.Mutex
	changed chan struct{} // closed when who waits for the next request is to look again
}

// newConn goes on with a session, where its snapshot says.
func newConn(s *cbox.Conn) (*Conn, error) {
	c := &Conn{Conn: s, changed: make(chan struct{})}
	c.begins, _ = s.Positions()
	b, ok := s.Import()
	if !ok {
		return c, nil
	}
	st, err := decode(b)
	if err != nil {
		return nil, err
	}
	c.date, c.held, c.done, c.skip, c.saved = st.date, st.held, st.done, st.done, st.done
	c.values, c.input = st.values, st.input
	c.begins -= uint64(len(st.input))
	return c, nil
}

// Read gives the server what belongs to the request that it works on.
func (c *Conn) Read(p []byte) (int, error) {
	for len(p) > 0 {
		changed := c.change(false)
		c.rmu.Lock()
		if c.frame.part != over {
			n, err := c.read(p)
			c.rmu.Unlock()
			return n, err
		}
		c.rmu.Unlock()
		// The server looks whether the client is still there.
		if err := c.WaitReadable(); err != nil {
			return 0, err
		}
		<-changed // that is the next request
	}
	return 0, nil
}

// read is Read within a request; rmu is held.
func (c *Conn) read(p []byte) (int, error) {
	if c.given == len(c.input) {
		if c.unkept || c.frame.part == raw {
			n, err := c.Conn.Read(p[:min(len(p), c.frame.most())])
			c.frame.advance(p[:n])
			return n, err
		}
		if err := c.fetch(); err != nil {
			return 0, err
		}
	}
	before := c.frame.part
	n := c.frame.advance(c.input[c.given:min(len(c.input), c.given+len(p))])
	copy(p, c.input[c.given:c.given+n])
	c.given += n
	if before == inHead && c.frame.part != inHead {
		return n, c.begin()
	}
	return n, nil
}

// fetch reads more of a request, and at its head maybe of the next.
func (c *Conn) fetch() error {
	n := readAhead
	if c.frame.part != inHead {
		n = min(n, c.frame.most())
	}
	b := make([]byte, n)
	n, err := c.Conn.Read(b)
	c.input = append(c.input, b[:n]...)
	c.unkept = len(c.input) > mostKept
	if n > 0 {
		return nil
	}
	return err
}

// begin: a request's header is there. Its time is a choice, and so it is in a
// snapshot before anything can depend on it (§2.6.1); rmu is held.
func (c *Conn) begin() error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	if !c.date.IsZero() {
		return nil // another process has begun
	}
	c.date = time.Now()
	return c.export(false)
}

// next: the response is complete.
func (c *Conn) next() {
	c.rmu.Lock()
	c.wmu.Lock()
	if c.frame.part == raw {
		c.wmu.Unlock()
		c.rmu.Unlock()
		return
	}
	var ahead []byte
	if !c.unkept {
		ahead = append(ahead, c.input[c.given:]...)
	}
	c.input, c.given, c.unkept, c.frame = ahead, 0, false, frame{}
	read, _ := c.Positions()
	c.begins = read - uint64(len(ahead))
	c.date, c.held, c.done, c.skip, c.saved, c.values, c.turn = time.Time{}, false, 0, 0, 0, nil, 0
	_ = c.export(false) // if it cannot be, the next read says so
	c.wmu.Unlock()
	c.rmu.Unlock()
	c.change(true)
}

// export takes a snapshot; rmu and wmu are held. A replay goes on from it with
// the whole request, so the whole request must be known.
func (c *Conn) export(ndi bool) error {
	if c.unkept || c.frame.part == raw {
		return fmt.Errorf("export a request: %w", errTooLong)
	}
	st := state{c.date, c.held, c.done, c.values, c.input}
	c.saved = c.done
	if ndi {
		return c.ExportNDI(st.encode())
	}
	return c.Conn.Export(st.encode())
}

var errTooLong = errors.New("it does not fit into a snapshot")

// change returns what is closed at the next change, and makes one.
func (c *Conn) change(now bool) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now {
		close(c.changed)
		c.changed = make(chan struct{})
	}
	return c.changed
}

// SetReadDeadline also ends the wait for the next request.
func (c *Conn) SetReadDeadline(t time.Time) error {
	err := c.Conn.SetReadDeadline(t)
	c.change(true)
	return err
}

// SetDeadline: see SetReadDeadline.
func (c *Conn) SetDeadline(t time.Time) error {
	err := c.Conn.SetDeadline(t)
	c.change(true)
	return err
}

// Close ends the session.
func (c *Conn) Close() error {
	err := c.Conn.Close()
	c.change(true)
	return err
}
