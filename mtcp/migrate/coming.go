// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"lazystate/mtcp"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/tcprepair"
	"lazystate/mtcp/wire"
)

// Limits bound what another server may send for one session.
type Limits struct {
	Queues int    // bytes of both of the socket's queues
	Box    uint64 // bytes of the continuation box
}

// Coming is a session on its way to this server. Live or Drop ends it.
type Coming struct {
	Name string
	Cert wire.Certificate // that the client has, if it need not get another

	dump *tcprepair.Dump
	im   *cbox.Image
	conn mtcp.Connection
	move mtcp.Move

	region   cbox.Region
	box      *cbox.Box
	room     *keeper.Room
	state    *State // as it came; nil once it is in escrow
	out      func() // takes it out of there; nil: it is not in
	restored *tcprepair.Restored
}

// Prepare checks a state that may be hostile and makes the session's box; local
// and remote are the ends of its connection here.
func Prepare(s *State, lim Limits, local, remote netip.AddrPort) (*Coming, error) {
	c, err := plan(s, lim, local, remote)
	if err != nil {
		return nil, err
	}
	if c.region, err = cbox.NewRegion(c.im.Size()); err != nil {
		return nil, err
	}
	if c.box, err = c.im.Plant(c.region, c.dump.Local, c.dump.Remote); err != nil {
		return nil, errors.Join(err, c.region.File.Close())
	}
	return c, nil
}

// plan is Prepare without anything that has to be given up again.
func plan(s *State, lim Limits, local, remote netip.AddrPort) (*Coming, error) {
	c := &Coming{Name: s.Name, Cert: s.Cert, state: s}
	var err error
	if c.dump, err = tcprepair.Parse(s.Socket, lim.Queues); err != nil {
		return nil, err
	}
	if c.im, err = cbox.ParseImage(s.Box, lim.Box); err != nil {
		return nil, err
	}
	var up mtcp.Up
	var down mtcp.Down
	if c.conn, up, down, err = mtcp.Place(c.dump.Endpoint, s.Read, s.Written); err != nil {
		return nil, err
	}
	if c.move, err = mtcp.Cut(c.im.Root(), up, down, s.Client, mtcp.Whole); err != nil {
		return nil, err
	}
	if !local.IsValid() {
		local, remote = c.dump.Local, c.dump.Remote
	}
	c.dump.Local, c.dump.Remote = local, remote
	if _, err := c.dump.Obey(c.conn, c.move); err != nil { // what Restore will do is possible
		return nil, err
	}
	return c, nil
}

// Local is this server's end of its connection.
func (c *Coming) Local() netip.AddrPort { return c.dump.Local }

func (c *Coming) id() cbox.ID { return c.im.Head.ID() }

// generation is the session's here.
func (c *Coming) generation() uint64 { return c.im.Head.Generation + 1 }

// Reply is what the client is told (MIGRATE_REPLY).
func (c *Coming) Reply() mtcp.Reply { return c.conn.Reply(c.move) }

// Fixup takes RCVD_WHILE_MIGRATING into account, before Restore.
func (c *Coming) Fixup(delta uint64) error {
	m, err := c.move.Fixup(delta)
	if err != nil {
		return err
	}
	c.move = m
	return nil
}

// Restore makes the socket, which neither hears nor says anything yet. The
// client is known to have nothing behind where S2 begins, or is not asked.
func (c *Coming) Restore(stack *tcprepair.Stack, known bool) error {
	d, err := c.dump.Obey(c.conn, c.move)
	if err != nil {
		return err
	}
	if known {
		d.Resend()
	}
	c.restored, err = stack.Restore(d)
	return err
}

// Reserve makes room for the session, which is to be for a process of uid: once S1
// has let go of it, it is too late for a limit.
func (c *Coming) Reserve(k *keeper.Keeper, uid uint32) (err error) {
	c.room, err = k.Reserve(uid, c.Name, c.region)
	return err
}

// Live lets the session go on here, where there is room for it. A connection that
// has ended is no error. at is told of the steps.
func (c *Coming) Live(at func(string)) error {
	defer c.room.Free()
	// Until a keeper has it, it ends by a reset: a FIN would say that this was all.
	if err := unix.SetsockoptLinger(c.restored.FD(), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if err := c.restored.Live(); err != nil {
		return err
	}
	at("alive")
	conn, err := c.take()
	if err != nil {
		return err
	}
	box := c.box
	c.box = nil
	if err = box.Bind(conn, c.im.LogTo, c.move.Send.To); err == nil {
		box.Number(c.conn)
		box.Thaw()
		at("thawed")
		err = conn.SetLingers(c.dump.Options.Linger)
	}
	if err == nil {
		err = c.room.Adopt(box, conn, c.out)
	}
	if err == nil {
		at("adopted")
		return nil
	}
	c.release()
	box.Close()
	err = errors.Join(err, conn.SetLingers(0), conn.Close(), c.region.File.Close())
	if over := (*mtcp.StateError)(nil); errors.As(err, &over) {
		return nil
	}
	return fmt.Errorf("go on with session %s: %w", c.im.Head.ID(), err)
}

// take has the socket out of the hands of who made it.
func (c *Coming) take() (*keeper.Conn, error) {
	fd, err := c.restored.Take()
	if err != nil {
		return nil, err
	}
	conn, err := keeper.NewConn(fd)
	if err != nil {
		err = errors.Join(err, unix.Close(fd))
	}
	return conn, err
}

// release takes it out of escrow.
func (c *Coming) release() {
	if c.out != nil {
		c.out()
		c.out = nil
	}
}

// Lose is Drop of what lives nowhere else: its client is told so.
func (c *Coming) Lose() error {
	var err error
	if c.restored != nil {
		err = c.restored.Reset()
	}
	return errors.Join(err, c.Drop())
}

// Drop undoes everything, in silence.
func (c *Coming) Drop() error {
	if c.restored != nil {
		c.restored.Abandon()
	}
	if c.room != nil {
		c.room.Free()
	}
	c.release()
	if c.box == nil {
		return nil
	}
	c.box.Close()
	c.box = nil
	return c.region.File.Close()
}
