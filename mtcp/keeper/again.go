// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/mtcp"
	"lazystate/mtcp/cbox"
)

// A keeper that was killed and started again knows nothing; the processes tell
// it what they have, each of its own slots and in any order.

// claim is a process's word that it has a slot of a session whose root has not
// said anything yet.
type claim struct {
	process *process
	place   place
}

// place tells boxes apart, whatever their descriptors.
type place struct {
	dev, ino uint64
	offset   int64
}

func placeOf(r cbox.Region) (place, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(r.File.Fd()), &st); err != nil {
		return place{}, os.NewSyscallError("fstat", err)
	}
	return place{uint64(st.Dev), st.Ino, r.Offset}, nil
}

// keepSlot is KEEP of a slot other than the root's.
func (k *Keeper) keepSlot(p *process, q *uapi.ScdRequest, box *os.File) error {
	region := cbox.Region{File: box, Offset: int64(q.Offset), Length: int64(q.Length)}
	at, err := placeOf(region)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.sessions[q.Session]; s != nil {
		return k.again(s, q.Slot, p, region)
	}
	key := slotKey{q.Session, q.Slot}
	if old, twice := k.early[key]; twice {
		k.unclaim(key, old)
	}
	if err := k.take(p.uid, Share{slots: 1}); err != nil {
		return err
	}
	k.early[key] = claim{p, at}
	return nil
}

// unclaim ends a claim; mu is held.
func (k *Keeper) unclaim(key slotKey, c claim) {
	delete(k.early, key)
	k.untake(c.process.uid, Share{slots: 1})
}

// again lets a process have a slot of a session that is held, which nobody has
// or it has already: it hung up and came back. mu is held.
func (k *Keeper) again(s *session, slot uint32, p *process, region cbox.Region) error {
	have, err := placeOf(s.region)
	if err != nil {
		return err
	}
	at, err := placeOf(region)
	if err != nil {
		return err
	}
	owner := s.owners[slot]
	switch name, open := s.slotName(slot); {
	case at != have || p.uid != s.uid || !open || name != p.name:
		return unix.EEXIST
	case owner != nil && owner.pid != p.pid:
		return unix.EBUSY
	case owner != nil:
		delete(owner.slots, slotKey{s.id, slot})
	}
	s.found(slot)
	s.own(slot, p)
	k.tell()
	return nil
}

// gather takes processes at their word, now that their root is there, and finds
// others for those that have died; mu is held.
func (k *Keeper) gather(s *session) {
	if s.box.Slots() == 1 { // the root's: its head need not be read
		return
	}
	h, err := s.box.Head()
	if err != nil {
		k.log.Error("a box is damaged", "session", s.id, "err", err)
		return
	}
	for slot := uint32(1); slot < uint32(len(h.ProcTable)); slot++ {
		key := slotKey{s.id, slot}
		if c, ok := k.early[key]; ok {
			k.unclaim(key, c)
			if at, err := placeOf(s.region); err == nil && at == c.place && c.process.uid == s.uid {
				s.own(slot, c.process)
				continue
			}
		}
		p := &h.ProcTable[slot]
		if p.State == uapi.CboxProcJoined || p.State == uapi.CboxProcLive && !cbox.Alive(p.PID) {
			k.find(s, slot)
		}
	}
}

// worthKeeping refuses a connection that cannot be moved, but not one that both ends
// have closed: it goes nowhere, and a process may have to read the rest.
func worthKeeping(box *cbox.Box, conn *Conn) error {
	err := cbox.CheckMovable(conn.fd)
	if ended := (*mtcp.StateError)(nil); errors.As(err, &ended) {
		if over, e := box.Over(conn); e == nil && !over {
			return nil
		}
	}
	return err
}
