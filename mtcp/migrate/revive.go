// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/landing"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/tcprepair"
)

// revive goes on with the sessions of moves that a former daemon has noted, of which
// S1 will be told that they live here, and with those that wait: all at once, and after
// them, each by itself, those that a former daemon was at when it died. So of two that
// were under way together the one that kills is known by the second death, and has none
// of the others set aside.
func (m *Mover) revive() {
	first, again := m.suspects(m.found)
	m.found = nil
	var before []<-chan struct{}
	for _, f := range first {
		before = append(before, m.tryOne(f))
	}
	m.tasks.Go(func() {
		for _, f := range again {
			for _, over := range before {
				<-over
			}
			if m.ctx.Err() != nil {
				return // they are the next daemon's
			}
			before = []<-chan struct{}{m.tryOne(f)}
		}
	})
}

// suspects are those that a former daemon has died of, perhaps; of which two have is
// set aside (landing.Ledger). guarded knows of panics, this is for what a signal kills.
func (m *Mover) suspects(all []*found) (first, again []*found) {
	if m.cfg.Ledger == nil {
		return all, nil
	}
	for _, f := range all {
		id := cbox.ID(f.key)
		deaths, why := m.cfg.Ledger.Deaths(id), m.cfg.Ledger.Aside(id)
		if why == "" && deaths > 1 {
			why = "two daemons have died of it, of which neither could say so"
		}
		switch {
		case why != "":
			m.leave(f, why)
		case deaths > 0:
			again = append(again, f)
		default:
			first = append(first, f)
		}
	}
	return first, again
}

// leave sets one aside.
func (m *Mover) leave(f *found, why string) {
	m.note(f, func(l landing.Ledger, id cbox.ID) error { return l.SetAside(id, why) })
	m.isAside(f.entrusted, why, "of daemons that were killed there is none")
	if err := m.setAside(f.key, f.socket, f.entrusted, why); err != nil {
		m.log.Error("a session is not kept until scd release", "client", f.Remote, "at", f.Local, "err", err)
	}
	_, _ = f.socket.Close(), f.region.File.Close()
}

// onTrial is for how long a session has to be under way until it is believed that this
// daemon does not die of it: longer than anything there takes (ownerBound).
const onTrial = 5 * time.Second

// tryOne has a session go on, and does not wait for that. over is closed when it has, or
// has not, or is believed to do no harm.
func (m *Mover) tryOne(f *found) (over <-chan struct{}) {
	ended := make(chan struct{})
	m.note(f, landing.Ledger.Begin)
	end := sync.OnceFunc(func() {
		m.note(f, landing.Ledger.End)
		close(ended)
	})
	believed := time.AfterFunc(onTrial, end)
	m.tasks.Go(func() {
		m.guarded(f.key, f.socket, f.entrusted, func() { m.revived(f, m.reviveOne(f)) })
		_ = f.socket.Close()
		believed.Stop()
		end()
	})
	return ended
}

// note: a session is not lost because nobody would know what this daemon died of.
func (m *Mover) note(f *found, what func(landing.Ledger, cbox.ID) error) {
	if m.cfg.Ledger == nil {
		return
	}
	if err := what(m.cfg.Ledger, cbox.ID(f.key)); err != nil {
		m.log.Warn("the ledger of sessions that a former daemon had", "client", f.Remote, "at", f.Local, "err", err)
	}
}

// revived says what became of one.
func (m *Mover) revived(f *found, err error) {
	log := m.log.With("client", f.Remote, "at", f.Local)
	switch {
	case err == nil:
		log.Info("a session that a former daemon had is seen to")
	case m.ctx.Err() != nil:
		log.Warn("a session that a former daemon had is left to the next one", "err", err)
	default:
		log.Error("a session that a former daemon had", "err", errors.Join(err, tcprepair.Reset(int(f.socket.Fd()))))
		m.cfg.Escrow.Drop(f.key)
	}
}

// reviveOne leaves box and region to nobody if it fails.
func (m *Mover) reviveOne(f *found) error {
	m.point("revive")
	box, err := cbox.OpenBox(f.region)
	if err != nil {
		return errors.Join(err, f.region.File.Close())
	}
	switch state := box.State(); {
	case state == uapi.CboxLeaving && f.state == nil: // it was about to go elsewhere
		return m.takeOn(f, box, (*keeper.Room).Hold)
	case state == uapi.CboxLeaving: // as it was planted: it has not lived, or not for long
		return m.finishComing(f, box)
	case state == uapi.CboxLive && m.ownerless(f, box):
		return m.takeOn(f, box, adopt)
	}
	box.Close() // it has ended, or a process has it
	m.cfg.Escrow.Drop(f.key)
	return f.region.File.Close()
}

// finishComing does what the former daemon was about to do.
func (m *Mover) finishComing(f *found, box *cbox.Box) error {
	c, err := f.coming(m)
	if err != nil {
		box.Close()
		return errors.Join(err, f.region.File.Close())
	}
	c.Box, c.out = box, m.outOfEscrow(box.ID())
	if !f.Salvaged { // its client has none
		if err := m.remember(certChange{box.ID(), f.Cert}); err != nil {
			m.log.Warn("the certificate of a session that came", "session", box.ID(), "err", err)
		}
	}
	err = m.redirected(f)
	if err != nil && m.ctx.Err() != nil { // it stays in escrow
		return err
	}
	if err == nil {
		err = c.Reserve(m.cfg.Keeper, f.UID)
	}
	if err == nil {
		err = c.Live(m.point)
	}
	if err != nil {
		return errors.Join(err, c.Lose())
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
	case f.Salvaged: // the address is here, but what is said to it may be held back still
		if m.cfg.LetIn == nil {
			return nil
		}
		return m.cfg.LetIn(steer.Flow{Local: f.Local, Remote: f.Remote})
	case f.From.IsValid():
		return m.gates.insist(m.ctx, gateSwitch, turn{f.Remote, f.From, f.Local}, m.cfg.Timing.Step)
	}
	d, err := m.device(f.Local.Addr())
	if err != nil {
		return err
	}
	m.tasks.Go(func() { m.announceAgain(f.Local.Addr()) })
	return d.do(func() error { return d.link.Announce(f.Local.Addr()) })
}

// How long a process has to say that it has a session, if it has begun with it, and
// if not even that can be seen.
const (
	ownerBound = 2 * time.Second
	ownerHint  = 300 * time.Millisecond
)

// ownerless waits for the process that the former daemon may have handed the
// session to, and reports that there is none.
func (m *Mover) ownerless(f *found, box *cbox.Box) bool {
	for began := time.Now(); ; time.Sleep(busyEvery) {
		most := ownerHint
		if h, err := box.Head(); err == nil && h.ProcTable[0].State != uapi.CboxProcJoined && cbox.Alive(h.ProcTable[0].PID) {
			most = ownerBound
		}
		if m.cfg.Keeper.Holds(box.ID()) {
			return false
		}
		if time.Since(began) > most {
			return true
		}
	}
}

// taker is Room.Hold, or Room.Adopt.
type taker func(r *keeper.Room, box *cbox.Box, conn *keeper.Conn, handed func()) (*keeper.Held, error)

func adopt(r *keeper.Room, box *cbox.Box, conn *keeper.Conn, handed func()) (*keeper.Held, error) {
	return nil, r.Adopt(box, conn, handed)
}

// takeOn has the keeper take a session's box, region and connection over. One that
// was frozen had no process to tell of it.
func (m *Mover) takeOn(f *found, box *cbox.Box, take taker) error {
	held, err := m.takeOver(f, box, take)
	if err != nil {
		box.Close()
		return errors.Join(err, f.region.File.Close())
	}
	if held != nil {
		m.Rescue(held)
	}
	return nil
}

func (m *Mover) takeOver(f *found, box *cbox.Box, take taker) (*keeper.Held, error) {
	room, err := m.cfg.Keeper.Reserve(f.UID, f.Name, f.region)
	if err != nil {
		return nil, err
	}
	defer room.Free()
	fd, err := f.dup()
	if err != nil {
		return nil, err
	}
	conn, err := keeper.NewConn(fd)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	var held *keeper.Held
	if err = conn.SetLingers(f.Linger); err == nil {
		held, err = take(room, box, conn, m.outOfEscrow(box.ID()))
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return held, nil
}
