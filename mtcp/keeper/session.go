// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/mtcp"
	"lazystate/mtcp/cbox"
)

// session is what is held of one.
type session struct {
	service
	id         cbox.ID
	generation uint64
	box        *cbox.Box
	region     cbox.Region
	outlives   bool // the region does, its kernel
	conn       *Conn
	owners     map[uint32]*process // by slot; none while it waits
	waiting    map[uint32]struct{} // slots without a process
	orphan     *time.Timer         // while the root waits
	finishing  bool                // its root has closed it
	pause      chan struct{}       // closed: it is not to be finished now
	held       bool                // by a mover
	users      int                 // of box, region and conn, beside the map
	dropped    bool
	handed     func() // of Adopt or Config.Waiting; nil once it was called
	came       bool   // handed is of Adopt
}

// keep takes a session on; it takes over region and conn if it returns one. owner
// is the process that has accepted it, or has it still, and calls it id; nil: it
// waits for one.
func (k *Keeper) keep(svc service, id cbox.ID, region cbox.Region, conn *Conn, owner *process) (*session, error) {
	if err := k.small(region); err != nil {
		return nil, err
	}
	box, err := cbox.OpenBox(region)
	if err != nil {
		return nil, err
	}
	frozen := owner != nil && k.cfg.Frozen != nil && box.State() == uapi.CboxLeaving
	if !frozen { // that one was looked at, and has a filter of its mover's
		err = worthKeeping(box, conn)
	}
	var s *session
	if err == nil {
		s, err = k.admit(svc, id, box, conn, owner, frozen, nil)
	}
	if s == nil {
		box.Close()
	} else if frozen {
		go k.cfg.Frozen(&Held{k, s, s.box, s.conn, s.name, s.uid})
	}
	return s, err
}

// small refuses a box that is too large.
func (k *Keeper) small(r cbox.Region) error {
	most := int64(16 << 20)
	if k.cfg.Box > 0 {
		most = k.cfg.Box
	}
	if r.Length > most {
		return &LimitError{Limit: uapi.ScdBox, Most: most}
	}
	return nil
}

// admit takes a session on, for which there is room already if it comes from
// elsewhere.
func (k *Keeper) admit(svc service, id cbox.ID, box *cbox.Box, conn *Conn, owner *process, frozen bool, room *Room) (*session, error) {
	region := box.Region()
	if id != (cbox.ID{}) && id != box.ID() {
		return nil, unix.EINVAL
	}
	s := &session{service: svc, id: box.ID(), generation: box.Generation(), box: box, region: region, outlives: box.Outlives(), conn: conn,
		owners: map[uint32]*process{}, waiting: map[uint32]struct{}{}}
	k.mu.Lock()
	defer k.mu.Unlock()
	if old := k.sessions[s.id]; old != nil && owner != nil {
		return nil, k.again(old, 0, owner, region)
	}
	switch {
	case k.closed || owner != nil && owner.gone:
		return nil, unix.ESHUTDOWN
	case k.sessions[s.id] != nil:
		return nil, unix.EEXIST
	case room != nil && room.share == s.share():
		room.share = Share{} // it is the session's from now on
	default:
		if err := k.take(svc.uid, s.share()); err != nil {
			return nil, err
		}
	}
	if frozen {
		s.held, s.users = true, 1
	}
	k.sessions[s.id] = s
	if owner != nil {
		s.own(0, owner)
		k.learn(s)
		k.gather(s)
	}
	k.tell()
	return s, nil
}

func (s *session) share() Share { return Share{Sessions: 1, Bytes: s.region.Length} }

// own notes who has a slot; mu is held.
func (s *session) own(slot uint32, p *process) {
	s.owners[slot] = p
	p.slots[slotKey{s.id, slot}] = struct{}{}
}

// slotName is what a process has to serve to be given the slot; open says
// whether anybody is to have it.
func (s *session) slotName(slot uint32) (name string, open bool) {
	if slot == 0 {
		return s.name, true // settle knows whether it is over
	}
	h, err := s.box.Head()
	if err != nil || slot >= uint32(len(h.ProcTable)) {
		return "", false
	}
	p := &h.ProcTable[slot]
	return uapi.CString(p.Name[:]), p.State == uapi.CboxProcJoined || p.State == uapi.CboxProcLive
}

// waits notes a slot without a process; mu is held.
func (s *session) waits(k *Keeper, slot uint32) {
	s.waiting[slot] = struct{}{}
	if slot == 0 {
		s.alone(k)
		s.stays(k)
	}
	if slot == 0 && k.cfg.Orphan > 0 && s.orphan == nil {
		s.orphan = time.AfterFunc(k.cfg.Orphan, func() { k.giveUp(s) })
	}
}

func (s *session) found(slot uint32) {
	delete(s.waiting, slot)
	if slot == 0 && s.orphan != nil {
		s.orphan.Stop()
		s.orphan = nil
	}
}

// giveUp resets the connection of a session that nobody goes on with.
func (k *Keeper) giveUp(s *session) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, waits := s.waiting[0]; !waits || s.held || s.dropped || s.orphan == nil {
		return
	}
	k.log.Warn("nobody goes on with a session", "session", s.id, "service", s.service.String())
	_ = s.conn.reset()
	k.drop(s)
}

// settle reports whether a session is over, or about to be: nobody is to go on
// with it. mu is held.
func (k *Keeper) settle(s *session) bool {
	snap, err := s.box.Snapshot(0)
	if err != nil {
		k.log.Error("a box is damaged", "session", s.id, "err", err)
		_ = s.conn.reset()
		k.drop(s)
		return true
	}
	if snap != nil && snap.Final || s.box.State() == uapi.CboxClosed {
		k.finish(s)
		return true
	}
	if over, err := s.box.Over(s.conn); err == nil && over { // the client is gone
		k.drop(s)
		return true
	}
	return false
}

// meant finds the session that a process speaks of. It may have left since, come
// back, and been handed to the same process: then it is another's that was meant.
// mu is held.
func (k *Keeper) meant(id cbox.ID, generation uint64) (*session, error) {
	s := k.sessions[id]
	switch {
	case s == nil:
		return nil, unix.ENOENT
	case s.generation != generation:
		return nil, unix.ESTALE
	}
	return s, nil
}

// done is DONE from p; mu is held.
func (k *Keeper) done(p *process, id cbox.ID, generation uint64) error {
	s, err := k.meant(id, generation)
	if err != nil {
		return err
	}
	if s.owners[0] != p {
		return unix.ENOENT
	}
	delete(s.owners, 0)
	delete(p.slots, slotKey{id, 0})
	k.finish(s)
	return nil
}

// finish does what the root left to do when it closed the session, unless that
// moves elsewhere; mu is held.
func (k *Keeper) finish(s *session) {
	if s.finishing || s.held {
		return
	}
	s.finishing, s.pause = true, make(chan struct{})
	s.users++
	go func() {
		done, err := k.deliver(s)
		if done {
			k.linger(s)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		defer s.unuse()
		s.finishing = false
		if s.held { // Hold waits for this; it is finished after Thaw, or elsewhere
			k.tell()
			return
		}
		if err != nil {
			k.log.Warn("finish a session", "session", s.id, "err", err)
		}
		k.drop(s)
	}()
}

// lingerEvery is how often it is looked whether a client has taken more, or has
// everything.
const lingerEvery = 10 * time.Millisecond

// linger waits until the client has all that was sent, and the FIN behind it:
// until then the session is here, and whoever moves an address has to take it along.
func (k *Keeper) linger(s *session) {
	if snap, err := s.box.Snapshot(0); err != nil || snap == nil || !snap.Final {
		return // it ends with a reset
	}
	for !s.delivered() && k.later(s) {
	}
}

// later waits a little, and reports whether a session is still to be finished.
func (k *Keeper) later(s *session) bool {
	select {
	case <-s.pause:
		return false
	case <-time.After(lingerEvery):
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return !s.held && !s.dropped && !k.closed
}

// delivered reports a connection that has nothing left to say.
func (s *session) delivered() bool {
	c, err := cbox.Counters(s.conn.fd)
	if err != nil {
		return true
	}
	return c.State != mtcp.Established && c.State != mtcp.CloseWait && c.State != mtcp.FinWait1 && c.State != mtcp.Closing && c.State != mtcp.LastAck
}

// pauseFinish stops sending what a root left; mu is held, but not while it waits.
func (k *Keeper) pauseFinish(s *session) {
	if s.finishing {
		close(s.pause)
	}
	for s.finishing {
		changed := k.changed
		k.mu.Unlock()
		<-changed
		k.mu.Lock()
	}
}

// deliver sends what was held, as the client takes it, and the FIN behind it.
func (k *Keeper) deliver(s *session) (done bool, err error) {
	if done, err = s.finishSome(); !done && err == nil { // nobody else knows of the rest
		k.mu.Lock()
		s.alone(k)
		k.mu.Unlock()
	}
	for ; !done && err == nil && k.later(s); done, err = s.finishSome() {
	}
	if done = done && err == nil; done { // from here on the kernel sees to it
		k.mu.Lock()
		s.wasHanded()
		k.mu.Unlock()
	}
	return done, err
}

func (s *session) finishSome() (bool, error) {
	snap, err := s.box.Snapshot(0)
	if err != nil {
		return false, err
	}
	if snap == nil || !snap.Final { // it could not go on: a FIN would say that this was all
		return true, s.conn.reset()
	}
	return s.box.Finish(s.conn)
}

// drop forgets a session; mu is held.
func (k *Keeper) drop(s *session) {
	if s.dropped {
		return
	}
	s.dropped = true
	s.wasHanded()
	delete(k.sessions, s.id)
	k.untake(s.uid, s.share())
	for slot, p := range s.owners {
		delete(p.slots, slotKey{s.id, slot})
	}
	s.found(0)
	s.users++
	s.unuse()
	k.tell()
}

// unuse ends a use; the last one of a session that was dropped closes its
// descriptors. mu is held.
func (s *session) unuse() {
	if s.users--; s.users == 0 && s.dropped {
		s.box.Close()
		_ = s.conn.Close()
		_ = s.region.File.Close()
	}
}

// handSlot is HAND from p: a child was associated, and a process that serves
// its name is to open it. Said again, after a replay, it changes nothing.
func (k *Keeper) handSlot(p *process, id cbox.ID, generation uint64, slot uint32) error {
	s, err := k.meant(id, generation)
	if err != nil {
		return err
	}
	if slot == 0 {
		return unix.ENOENT
	}
	h, err := s.box.Head()
	if err != nil {
		return err
	}
	if slot >= uint32(len(h.ProcTable)) || h.ProcTable[slot].State == uapi.CboxProcFree || s.owners[h.ProcTable[slot].Parent] != p {
		return unix.EPERM
	}
	if s.owners[slot] == nil {
		k.find(s, slot)
	}
	return nil
}

// errno is what an error is told as.
func errno(err error) int32 {
	if err == nil {
		return 0
	}
	var e syscall.Errno
	if errors.As(err, &e) {
		return int32(e)
	}
	if errors.Is(err, cbox.ErrNotMovable) {
		return int32(unix.EOPNOTSUPP)
	}
	return int32(unix.EINVAL)
}
