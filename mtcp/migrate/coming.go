// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"net/netip"

	"lazystate/mtcp"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/landing"
	"lazystate/mtcp/tcprepair"
	"lazystate/mtcp/wire"
)

// Limits bound what another server may send for one session.
type Limits struct {
	Queues int    // bytes of both of the socket's queues
	Box    uint64 // bytes of the continuation box
}

// Coming is a session on its way to this server. Live, Lose or Drop ends it.
type Coming struct {
	*landing.Session
	Cert wire.Certificate // that the client has, if it need not get another

	state *State // as it came; nil once it is in escrow
	out   func() // takes it out of there; nil: it is not in
}

// Prepare checks a state that may be hostile and makes the session's box; local
// and remote are the ends of its connection here.
func Prepare(s *State, lim Limits, local, remote netip.AddrPort) (*Coming, error) {
	c, err := plan(s, lim, mtcp.Whole, local, remote)
	if err != nil {
		return nil, err
	}
	if err := c.Plant(); err != nil {
		return nil, err
	}
	return c, nil
}

// plan is Prepare without anything that has to be given up again.
func plan(s *State, lim Limits, p mtcp.Policy, local, remote netip.AddrPort) (*Coming, error) {
	f := landing.Facts{Name: s.Name, Read: s.Read, Written: s.Written, Client: s.Client}
	var err error
	if f.Dump, err = tcprepair.Parse(s.Socket, lim.Queues); err != nil {
		return nil, err
	}
	if f.Image, err = cbox.ParseImage(s.Box, lim.Box); err != nil {
		return nil, err
	}
	if local.IsValid() {
		f.Dump.Local, f.Dump.Remote = local, remote
	}
	c := &Coming{Cert: s.Cert, state: s}
	if c.Session, err = landing.Plan(f, p); err != nil {
		return nil, err
	}
	return c, nil
}

// Local is this server's end of its connection.
func (c *Coming) Local() netip.AddrPort { return c.Dump.Local }

// generation is the session's here.
func (c *Coming) generation() uint64 { return c.Image.Head.Generation + 1 }

// Reply is what the client is told (MIGRATE_REPLY).
func (c *Coming) Reply() mtcp.Reply { return c.Conn.Reply(c.Move) }

// Live lets the session go on here; see landing.Session.
func (c *Coming) Live(at func(string)) error {
	var handed func()
	if c.out != nil {
		handed = c.release
	}
	return c.Session.Live(at, handed)
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
	err := c.Session.Lose()
	c.release()
	return err
}

// Drop undoes everything, in silence.
func (c *Coming) Drop() error {
	err := c.Session.Drop()
	c.release()
	return err
}
