// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/escrow"
	"lazystate/mtcp/keeper"
)

// revive goes on with the sessions of moves that a former daemon has noted: S1 will
// be told that they live here.
func (m *Mover) revive() {
	for _, f := range m.found {
		m.tasks.Go(func() {
			id, err := m.reviveOne(f)
			if err != nil {
				m.log.Error("a session that came to a former daemon", "session", id, "client", f.Remote, "err", err)
				return
			}
			m.log.Info("a session that came to a former daemon goes on", "session", id, "client", f.Remote)
		})
	}
	m.found = nil
}

func (m *Mover) reviveOne(f *found) (id cbox.ID, err error) {
	box, err := cbox.OpenBox(f.region)
	if err != nil {
		return id, errors.Join(err, f.close())
	}
	id = box.ID()
	switch state := box.State(); {
	case state == uapi.CboxLeaving && f.state == nil: // it was about to go elsewhere
		return id, m.rescueFound(f, box)
	case state == uapi.CboxLeaving: // as it was planted: it has not lived, or not for long
		return id, m.finishComing(f, box)
	case state == uapi.CboxLive: // a process may have it
		return id, m.findOwner(f, box)
	}
	box.Close()
	return id, errors.Join(m.cfg.Escrow.Drop(escrow.Key(id)), f.close())
}

// finishComing does what the former daemon was about to do.
func (m *Mover) finishComing(f *found, box *cbox.Box) error {
	c, err := f.coming(m)
	if err != nil {
		box.Close()
		return errors.Join(err, f.close())
	}
	c.box, c.out = box, m.outOfEscrow(box.ID())
	err = errors.Join(f.socket.Close(), m.redirected(f), m.remember(certChange{box.ID(), f.Cert}))
	if err == nil {
		err = c.Reserve(m.cfg.Keeper, f.UID)
	}
	if err == nil {
		err = c.Live(m.point)
	}
	if err != nil {
		return errors.Join(err, c.Drop())
	}
	m.Stats.came.Add(1)
	if f.From.IsValid() {
		m.tasks.Go(func() { m.announce(c) })
	}
	return nil
}

// redirected has the client's segments come here, once more.
func (m *Mover) redirected(f *found) error {
	switch {
	case f.Client:
		return nil // it has seen to that itself
	case f.From.IsValid():
		return m.gates.insist(m.ctx, gateSwitch, turn{f.Remote, f.From, f.Local}, m.cfg.Timing.Step)
	}
	d, err := m.device(f.Local.Addr())
	if err != nil {
		return err
	}
	return d.do(func() error { return d.link.Announce(f.Local.Addr()) })
}

// How long a process has to say that it has a session, if it has begun with it, and
// if not even that can be seen.
const (
	ownerBound = 2 * time.Second
	ownerHint  = 300 * time.Millisecond
)

// findOwner waits for the process that the former daemon may have handed the
// session to, and takes it on if there is none.
func (m *Mover) findOwner(f *found, box *cbox.Box) error {
	for began := time.Now(); ; time.Sleep(busyEvery) {
		h, err := box.Head()
		if err != nil {
			return errors.Join(err, f.close())
		}
		waited, most := time.Since(began), ownerHint
		if p := h.ProcTable[0]; p.State != uapi.CboxProcJoined && cbox.Alive(p.PID) {
			most = ownerBound
		}
		if m.cfg.Keeper.Holds(box.ID()) {
			box.Close()
			return errors.Join(m.cfg.Escrow.Drop(escrow.Key(box.ID())), f.close())
		}
		if waited > most {
			return m.adopt(f, box)
		}
	}
}

func (m *Mover) adopt(f *found, box *cbox.Box) error {
	return m.takeOn(f, box, func(r *keeper.Room, conn *keeper.Conn) error { return r.Adopt(box, conn, m.outOfEscrow(box.ID())) })
}

// rescueFound is of a session that had no process to tell of it.
func (m *Mover) rescueFound(f *found, box *cbox.Box) error {
	return m.takeOn(f, box, func(r *keeper.Room, conn *keeper.Conn) error {
		held, err := r.Hold(box, conn, m.outOfEscrow(box.ID()))
		if err == nil {
			m.Rescue(held)
		}
		return err
	})
}

// takeOn has the keeper take a session's box, region and connection over.
func (m *Mover) takeOn(f *found, box *cbox.Box, take func(*keeper.Room, *keeper.Conn) error) error {
	fd, err := unix.FcntlInt(f.socket.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("dup: %w", err)
	}
	conn, err := keeper.NewConn(fd)
	if err != nil {
		return errors.Join(err, unix.Close(fd), f.close())
	}
	err = conn.SetLingers(f.Linger)
	if err == nil {
		var room *keeper.Room
		if room, err = m.cfg.Keeper.Reserve(f.UID, f.Name, f.region); err == nil {
			defer room.Free()
			err = take(room, conn)
		}
	}
	if err != nil {
		return errors.Join(err, conn.Close(), f.close())
	}
	return f.socket.Close()
}
