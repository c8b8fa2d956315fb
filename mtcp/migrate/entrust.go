// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"lazystate/mtcp"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/escrow"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/landing"
	"lazystate/mtcp/tcprepair"
	"lazystate/mtcp/wire"
)

// entrusted is what is noted of a session that is in escrow: from before it may
// live here until a process has it, and while it waits for another one. Nobody else
// has its socket then, so a daemon that is started anew has to be able to finish what
// this one was doing, or to undo it, as the journal says. Beside it are the box and,
// of what comes, the state reply.
type entrusted struct {
	Name   string `json:"name"` // of the service
	UID    uint32 `json:"uid"`
	Offset int64  `json:"offset,omitempty"` // of the box in its file
	Length int64  `json:"length"`
	Linger int32  `json:"linger"` // SO_LINGER in seconds, -1: off; what nobody has is set to end by a reset

	StateAt  int64 `json:"state_at,omitempty"` // in the file of the states
	StateLen int64 `json:"state_len,omitempty"`

	Move          []byte           `json:"move,omitempty"`     // by which it comes; none: it waits
	Salvaged      bool             `json:"salvaged,omitempty"` // no server has sent it, and nobody has noted the move
	Minimal       bool             `json:"minimal,omitempty"`  // mtcp.Minimal is its policy
	Local, Remote netip.AddrPort   // here
	Client        bool             `json:"client,omitempty"` // it has said what it has:
	Delta         uint64           `json:"delta,omitempty"`
	From          netip.AddrPort   `json:"from,omitzero"` // S1's end, if a gateway is to switch
	Cert          wire.Certificate `json:"cert"`

	Aside string `json:"aside,omitempty"` // why no daemon is to touch it, if it is not; its socket alone is there then
}

// Entrust puts sessions into escrow that are out of a dead machine's memory, restored
// and about to live here: where this daemon dies over it, the next one finishes it.
// What is to be called when a process has one, or nobody will, is nil for one that is
// lost with this daemon.
func (m *Mover) Entrust(all []*landing.Session) (over []func()) {
	coming := make([]*Coming, len(all))
	for i, s := range all {
		state := &State{Name: s.Name, Read: s.Read, Written: s.Written, Client: s.Client, Socket: s.Dump.AppendBinary(nil)}
		state.Box, _ = s.Image.AppendBinary(nil) // never fails
		coming[i] = &Coming{Session: s, state: state}
	}
	id := newID()
	m.entrust(coming, nil, func(c *Coming) entrusted {
		return entrusted{Move: id[:], Salvaged: true, Minimal: c.Policy == mtcp.Minimal, UID: c.UID}
	})
	over = make([]func(), len(all))
	for i, c := range coming {
		if c.out != nil {
			over[i] = c.release
		}
	}
	return over
}

// entrust puts restored sessions into escrow, all at once, of which e says the rest.
// One that cannot be is lost with this daemon, should that die now. What another
// server passes off as a session that is here already does not take its place. written
// are their states, if there was time for that before; it is closed.
func (m *Mover) entrust(all []*Coming, written *states, e func(c *Coming) entrusted) {
	defer func() { written.close() }()
	if m.cfg.Escrow == nil {
		return
	}
	all = slices.DeleteFunc(slices.Clone(all), func(c *Coming) bool { return m.cfg.Keeper.Holds(c.ID()) })
	if len(all) == 0 {
		return
	}
	var err error
	if written == nil {
		written, err = writeStates(all)
	}
	if err == nil {
		err = m.put(all, written, e)
	}
	if err != nil {
		m.mesh.log.Warn("sessions that come are unprotected", "sessions", len(all), "err", err)
		return
	}
	for _, c := range all {
		c.state, c.out = nil, m.outOfEscrow(c.ID())
	}
}

func (m *Mover) put(all []*Coming, written *states, more func(c *Coming) entrusted) error {
	deposits, at := make([]escrow.Deposit, len(all)), int64(0)
	for i, c := range all {
		e := more(c)
		e.Local, e.Remote, e.StateAt, e.StateLen = c.Dump.Local, c.Dump.Remote, at, written.lens[i]
		e.Name, e.Length, e.Linger = c.Name, c.Region.Length, c.Dump.Options.Linger
		at += e.StateLen
		about, err := json.Marshal(e)
		if err != nil {
			return err
		}
		deposits[i] = escrow.Deposit{Key: escrow.Key(c.ID()), About: about, FDs: []int{c.Restored.FD(), int(c.Region.File.Fd()), int(written.file.Fd())}}
	}
	return m.cfg.Escrow.Put(deposits...)
}

// Waits is for keeper.Config's Waiting: a session that no process has outlives this
// daemon.
func (m *Mover) Waits(i keeper.Info, box cbox.Region, conn *keeper.Conn) (over func()) {
	if m.cfg.Escrow == nil {
		return nil
	}
	about, err := json.Marshal(entrusted{Name: i.Name, UID: i.UID, Offset: box.Offset, Length: box.Length, Linger: conn.Lingers(), Local: i.Local, Remote: i.Remote})
	if err == nil {
		err = m.cfg.Escrow.Put(escrow.Deposit{Key: escrow.Key(i.ID), About: about, FDs: []int{conn.FD(), int(box.File.Fd())}})
	}
	if err != nil {
		m.mesh.log.Warn("a session that waits is unprotected", "session", i.ID, "err", err)
		return nil
	}
	return m.outOfEscrow(i.ID)
}

func (m *Mover) outOfEscrow(id cbox.ID) func() {
	return func() { m.cfg.Escrow.Drop(escrow.Key(id)) }
}

// found is a session that a former daemon has left in escrow.
type found struct {
	entrusted
	key    escrow.Key
	move   ID
	state  *State // nil: it waits
	socket *os.File
	region cbox.Region
}

// find reads what is in escrow. Its files are found's, or closed.
func (m *Mover) find(it escrow.Item) (f *found, err error) {
	defer func() {
		if err != nil {
			it.Close()
		}
	}()
	f = &found{key: it.Key}
	if err := json.Unmarshal(it.About, &f.entrusted); err != nil {
		return nil, err
	}
	switch {
	case f.Aside != "" && len(it.Files) == 1:
		f.socket = it.Files[0]
		return f, nil
	case len(it.Files) == 2 && len(f.Move) == 0:
	case len(it.Files) == 3 && len(f.Move) == len(ID{}):
	default:
		return nil, fmt.Errorf("%d descriptors of move %x", len(it.Files), f.Move)
	}
	f.socket, f.region = it.Files[0], cbox.Region{File: it.Files[1], Offset: f.Offset, Length: f.Length}
	if len(f.Move) == 0 {
		return f, nil
	}
	f.move = ID(f.Move)
	if f.StateLen < 0 || f.StateLen > int64(m.mesh.most) {
		return nil, fmt.Errorf("a state of %d bytes", f.StateLen)
	}
	b := make([]byte, f.StateLen)
	if _, err := it.Files[2].ReadAt(b, f.StateAt); err != nil {
		return nil, err
	}
	if f.state, err = ParseState(b); err != nil {
		return nil, err
	}
	return f, it.Files[2].Close()
}

// coming is what the session was to a daemon that had just restored it.
func (f *found) coming(m *Mover) (*Coming, error) {
	p := mtcp.Whole
	if f.Minimal {
		p = mtcp.Minimal
	}
	c, err := plan(f.state, m.cfg.Limits, p, f.Local, f.Remote)
	if err != nil {
		return nil, err
	}
	if f.Client {
		if err := c.Fixup(f.Delta); err != nil {
			return nil, err
		}
	}
	d, err := c.Dump.Obey(c.Conn, c.Move)
	if err != nil {
		return nil, err
	}
	if f.Client {
		d.Resend()
	}
	if c.Restored, err = f.restored(m.cfg.Stack, d); err != nil {
		return nil, err
	}
	c.Region = f.region
	return c, nil
}

func (f *found) restored(s *tcprepair.Stack, d *tcprepair.Dump) (*tcprepair.Restored, error) {
	fd, err := f.dup()
	if err != nil {
		return nil, err
	}
	r, err := s.Resume(fd, d)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return r, nil
}

// dup is another descriptor of the socket.
func (f *found) dup() (int, error) {
	fd, err := unix.FcntlInt(f.socket.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	return fd, os.NewSyscallError("dup", err)
}
