// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/mtcp/cbox"
)

// Held is a session in the hands of whoever moves it: its processes are stopped
// between two operations and nobody takes their places. Thaw or Depart ends it.
type Held struct {
	k *Keeper
	s *session

	Box  *cbox.Box
	Conn *Conn
	Name string // of its root
	UID  uint32
}

// ID is the session's.
func (h *Held) ID() cbox.ID { return h.s.id }

// Hold freezes a session; see cbox.Box.Freeze. ENOENT is one that has ended, EBUSY
// one that somebody else moves.
func (k *Keeper) Hold(id cbox.ID, most time.Duration) (*Held, error) {
	k.mu.Lock()
	s, err := k.sessions[id], error(nil)
	switch {
	case s == nil:
		err = unix.ENOENT
	case s.held:
		err = unix.EBUSY
	}
	if err != nil {
		k.mu.Unlock()
		return nil, fmt.Errorf("hold session %s: %w", id, err)
	}
	s.held = true
	s.stays(k)        // once it is frozen, one that comes and one that leaves look alike
	s.conn.notAlone() // its options go along
	s.users++
	k.pauseFinish(s)
	k.mu.Unlock()
	err = s.box.Freeze(func(slot uint32) bool { return k.dead(s, slot) }, most)
	if err != nil {
		k.release(s)
		return nil, err
	}
	return &Held{k, s, s.box, s.conn, s.name, s.uid}, nil
}

// dead says that no process can be inside an operation of a slot any more. Who
// got the slot from another process than us is known by the box only.
func (k *Keeper) dead(s *session, slot uint32) bool {
	k.mu.Lock()
	owner := s.owners[slot]
	k.mu.Unlock()
	if owner != nil {
		return false
	}
	h, err := s.box.Head()
	return err == nil && !cbox.Alive(h.ProcTable[slot].PID)
}

// release gives a session back, and looks for processes that it lacks.
func (k *Keeper) release(s *session) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s.held = false
	s.unuse()
	if s.dropped {
		return
	}
	for slot := range s.box.Slots() {
		if s.owners[slot] == nil {
			k.find(s, slot)
		}
	}
}

// Thaw lets the session go on here.
func (h *Held) Thaw() {
	h.s.box.Thaw()
	h.k.release(h.s)
}

// Depart says that the session is elsewhere: its processes get EMIGRATED, in
// their sleep too. The connection is closed here; whoever must not let that be
// seen (TCP_REPAIR) does so before, on Conn.
func (h *Held) Depart() { h.k.Depart(h) }

// Depart does so for many, whose processes are woken once: each looks at all its
// sessions then.
func (k *Keeper) Depart(all ...*Held) {
	for _, h := range all {
		h.s.box.Depart()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	woken := map[*process]struct{}{}
	for _, h := range all {
		for _, p := range h.s.owners {
			woken[p] = struct{}{}
		}
		k.drop(h.s)
		h.s.unuse()
	}
	for p := range woken {
		k.wake(p)
	}
}

// Room is kept for a session that comes from elsewhere: what is beyond a limit is
// known before the other server lets go of it. Adopt or Free ends it.
type Room struct {
	k *Keeper
	service
	share Share
}

// Reserve makes room for a session of a box so large.
func (k *Keeper) Reserve(uid uint32, name string, box cbox.Region) (*Room, error) {
	if err := k.small(box); err != nil {
		return nil, err
	}
	r := &Room{k, service{uid, name}, Share{Sessions: 1, Bytes: box.Length}}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.take(uid, r.share); err != nil {
		return nil, err
	}
	return r, nil
}

// Free gives the room back; after Adopt there is none.
func (r *Room) Free() {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	r.k.untake(r.uid, r.share)
	r.share = Share{}
}

// Adopt takes the session on, its box thawed and its socket made here, and finds
// processes for it. It takes over box and conn if it succeeds; handed, if it is not
// nil, is called when a process has them too, or nobody any more, as what
// Config.Waiting returns, which takes its place where the session has to wait.
func (r *Room) Adopt(box *cbox.Box, conn *Conn, handed func()) error {
	h, err := r.Hold(box, conn, handed)
	if err != nil {
		return err
	}
	r.k.release(h.s)
	return nil
}

// Hold is Adopt of a session that is frozen, by somebody who has died.
func (r *Room) Hold(box *cbox.Box, conn *Conn, handed func()) (*Held, error) {
	s, err := r.k.admit(r.service, cbox.ID{}, box, conn, nil, true, r)
	if err != nil {
		return nil, err
	}
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	s.handed, s.came = handed, handed != nil // it is held: nobody has been given it yet
	r.k.gather(s)                            // but other slots of it a process may have
	return &Held{r.k, s, s.box, s.conn, s.name, s.uid}, nil
}
