// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"lazystate/mtcp/cbox"
	"lazystate/mtcp/keeper"
)

// process is one of a service's: what it is called, and what it does.
type process struct {
	name string
	run  func(s *server, c *keeper.Client) error
}

// start has processes of a service run here.
func (s *server) start(all ...process) {
	s.w.t.Helper()
	for _, p := range all {
		c, err := keeper.Dial(s.path, p.name)
		s.w.must(err)
		s.w.t.Cleanup(func() { c.Close() })
		s.w.must(p.run(s, c))
	}
}

// serve listens and gives each session to one; it returns when it listens.
func (s *server) serve(c *keeper.Client, one func(*cbox.Conn) error) error {
	return s.Try(func() error {
		l, err := c.Listen(s.w.t.Context(), "tcp", fmt.Sprintf(":%d", s.w.at().Port()), cbox.Config{Processes: 2, Channels: 2})
		if err != nil {
			return err
		}
		s.w.t.Cleanup(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				if c, ok := conn.(*cbox.Conn); ok {
					go func() { s.w.ended(s, one(c)) }()
				}
			}
		}()
		return nil
	})
}

// ended notes why a session's process has ended, for a test that fails.
func (w *world) ended(s *server, err error) {
	if err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ends = append(w.ends, fmt.Sprintf("%s: %v", s.Name, err))
	}
}

// adding answers each number with the sum so far, and has a snapshot of it.
var adding = process{"adder", func(s *server, c *keeper.Client) error { return s.serve(c, addUp) }}

func addUp(c *cbox.Conn) error {
	err := adds(c)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, c.Close())
}

// adds ends with what ends its input.
func adds(c *cbox.Conn) error { return addsUntil(c, 0, nil) }

// addsUntil does something else when it has read a number.
func addsUntil(c *cbox.Conn, last uint64, what func()) error {
	sum := imported(c.Session)
	for buf := make([]byte, 8); ; {
		if _, err := io.ReadFull(c, buf); err != nil {
			return err
		}
		n := binary.LittleEndian.Uint64(buf)
		if n == last {
			what()
		}
		sum += n
		if _, err := c.Write(binary.LittleEndian.AppendUint64(nil, sum)); err != nil {
			return err
		}
		if err := c.Export(binary.LittleEndian.AppendUint64(nil, sum)); err != nil {
			return err
		}
	}
}

func imported(s *cbox.Session) uint64 {
	if b, ok := s.Import(); ok {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// The same by two processes: the front has nothing to remember, the back adds up
// and exports every third time, so the two are hardly ever at the same point.
var (
	fronting = process{"front", func(s *server, c *keeper.Client) error {
		return s.serve(c, func(conn *cbox.Conn) error { return front(c, conn) })
	}}
	backing = process{"back", func(_ *server, c *keeper.Client) error {
		go func() {
			for {
				p, err := c.Take()
				if err != nil {
					return
				}
				if s, err := cbox.Open(p.Region, p.Slot, c.Config(cbox.Config{})); err == nil {
					go back(s)
				}
			}
		}()
		return nil
	}}
)

func front(k *keeper.Client, c *cbox.Conn) error {
	child, err := c.Associate("back", 1)
	if err != nil {
		return err
	}
	if err := k.Hand(c.Session, child); err != nil {
		return err
	}
	to := child.Channels[0]
	for buf := make([]byte, 8); ; {
		if _, err := io.ReadFull(c, buf); err != nil {
			return c.Close()
		}
		if _, err := to.Write(buf); err != nil {
			return err
		}
		if _, err := io.ReadFull(to, buf); err != nil {
			return err
		}
		if _, err := c.Write(buf); err != nil {
			return err
		}
		if err := c.Export(nil); err != nil {
			return err
		}
	}
}

func back(s *cbox.Session) error {
	sum, from := imported(s), s.Channels()[0]
	for n, buf := 1, make([]byte, 8); ; n++ {
		if _, err := io.ReadFull(from, buf); err != nil {
			return s.Close()
		}
		sum += binary.LittleEndian.Uint64(buf)
		if _, err := from.Write(binary.LittleEndian.AppendUint64(nil, sum)); err != nil {
			return err
		}
		if n%3 == 0 {
			if err := s.Export(binary.LittleEndian.AppendUint64(nil, sum)); err != nil {
				return err
			}
		}
	}
}
