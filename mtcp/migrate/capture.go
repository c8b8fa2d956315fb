// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"
	"fmt"

	"lazystate/mtcp"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/tcprepair"
)

// Captured is a session of this server that nobody can change: its processes
// are stopped, its socket is deaf and silent. Undo or Discard ends it.
type Captured struct {
	State      State
	Conn       mtcp.Connection
	Move       mtcp.Move
	Generation uint64

	held   *keeper.Held
	frozen *tcprepair.Frozen
}

// Asked says what the client knows, once the connection's numbers are known.
type Asked func(c mtcp.Connection, down mtcp.Down) (mtcp.Client, error)

// Capture freezes a session that is held and takes it down. If it fails the
// session goes on here, and held is let go of.
func Capture(held *keeper.Held, stack *tcprepair.Stack, asked Asked) (*Captured, error) {
	c := &Captured{held: held}
	err := c.freeze(stack)
	if err != nil {
		held.Thaw()
		return nil, err
	}
	if err := c.takeDown(asked); err != nil {
		return nil, errors.Join(err, c.Undo())
	}
	return c, nil
}

func (c *Captured) freeze(stack *tcprepair.Stack) error {
	return c.socket(func(fd int) (err error) {
		c.frozen, err = stack.FreezeKnown(fd, c.held.Conn.Local(), c.held.Conn.Remote())
		return err
	})
}

func (c *Captured) socket(f func(fd int) error) error {
	raw, err := c.held.Conn.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

func (c *Captured) takeDown(asked Asked) error {
	dump, err := c.frozen.Dump()
	if err != nil {
		return err
	}
	box := c.held.Box
	s := &c.State
	s.Name = c.held.Name
	if s.Read, s.Written, err = box.Count(c.frozen.Counters()); err != nil {
		return err
	}
	im, err := cbox.ReadImage(uint64(box.Region().Length), box.Fetch)
	if err != nil {
		return err
	}
	c.Generation = im.Head.Generation
	var up mtcp.Up
	var down mtcp.Down
	if c.Conn, up, down, err = mtcp.Place(dump.Endpoint, s.Read, s.Written); err != nil {
		return err
	}
	if asked != nil {
		if s.Client, err = asked(c.Conn, down); err != nil {
			return err
		}
	}
	if c.Move, err = mtcp.Cut(im.Root(), up, down, s.Client, mtcp.Whole); err != nil {
		return err
	}
	if err := im.Fill(box.Fetch, c.Move, mtcp.Whole); err != nil {
		return err
	}
	s.Socket = dump.AppendBinary(nil)
	s.Box, err = im.AppendBinary(nil)
	return err
}

// Undo lets the session go on here.
func (c *Captured) Undo() error {
	err := c.frozen.Thaw()
	c.held.Thaw()
	if err != nil {
		return fmt.Errorf("undo the capture of a session: %w", err)
	}
	return nil
}

// Discard ends the session here, in silence: its processes get EMIGRATED.
func (c *Captured) Discard() error {
	err := c.silence()
	c.held.Depart()
	return err
}

// silence is the socket's part of Discard.
func (c *Captured) silence() error {
	if err := c.frozen.Discard(); err != nil {
		return fmt.Errorf("discard a session: %w", err)
	}
	return nil
}
