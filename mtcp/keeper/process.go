// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/ready"
	"lazystate/internal/unixsock"
	"lazystate/mtcp/cbox"
)

// process is one of a server's, alive until its pidfd says otherwise.
type process struct {
	service
	pid      int
	pidfd    *os.File
	ctl      *net.UnixConn
	bell     *os.File
	sessions *net.UnixConn
	slots    map[slotKey]struct{} // that it has, or is about to be handed
	queue    []slotKey            // to be handed
	waited   uint64               // how many slots it is told that it has all of
	more     *sync.Cond           // the queue, or gone, has changed
	gone     bool                 // it takes no more
	rings    chan struct{}        // for its bell
	silent   chan struct{}        // closed when nobody is at its bell any more
}

// slotKey is a process's part in a session.
type slotKey struct {
	id   cbox.ID
	slot uint32
}

// allPassed stands in a queue behind what waited for the process when it came. It is no slot.
var allPassed = slotKey{slot: ^uint32(0)}

// peerPidfd is SO_PEERPIDFD (6.5): it names the process that connected, even if
// its number has been given to another since.
const peerPidfd = 77

// peer asks the kernel who is at the other end.
func peer(c *net.UnixConn) (cred *unix.Ucred, pidfd *os.File, err error) {
	if cred, err = unixsock.Peer(c); err != nil {
		return nil, nil, err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) {
		n, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, peerPidfd)
		if err != nil {
			n, err = unix.PidfdOpen(int(cred.Pid), 0)
		}
		if inner = err; err == nil {
			unix.CloseOnExec(n)
			_ = unix.SetNonblock(n, true) // so that the poller takes it
			pidfd = os.NewFile(uintptr(n), "pidfd")
		}
	}); err != nil {
		return nil, nil, err
	}
	if inner != nil {
		return nil, nil, fmt.Errorf("who is there: %w", inner)
	}
	return cred, pidfd, nil
}

// died waits for the end of the process of a pidfd.
func died(pidfd *os.File) error {
	raw, err := pidfd.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool {
		events, err := ready.Now(fd, unix.POLLIN)
		return err == nil && events != 0
	})
}

// isDead reports whether the process of a pidfd has ended.
func isDead(pidfd *os.File) (dead bool) {
	raw, err := pidfd.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) {
		events, err := ready.Now(fd, unix.POLLIN)
		dead = err == nil && events != 0
	})
	return dead
}

// join admits a process that has said HELLO; it takes over the descriptors. tell: it wants
// to know when it has what waits for it.
func (k *Keeper) join(c *net.UnixConn, name string, bell *os.File, sessions *net.UnixConn, tell bool) (*process, error) {
	cred, pidfd, err := peer(c)
	if err != nil {
		return nil, err
	}
	p := &process{service: service{cred.Uid, name}, pid: int(cred.Pid), pidfd: pidfd, ctl: c, bell: bell, sessions: sessions,
		slots: map[slotKey]struct{}{}}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.buryDead(p.service)
	if k.closed {
		err = unix.ESHUTDOWN
	} else {
		err = k.take(p.uid, Share{Processes: 1})
	}
	if err != nil {
		_ = pidfd.Close()
		return nil, fmt.Errorf("%s: %w", p.service, err)
	}
	k.processes[p] = struct{}{}
	p.more = sync.NewCond(&k.mu)
	p.rings, p.silent = make(chan struct{}, 1), make(chan struct{})
	go k.ring(p)
	go k.hand(p)
	go k.watch(p)
	k.giveWaiting(p)
	if tell && len(p.queue) > 0 {
		p.waited = uint64(len(p.queue))
		p.queue = append(p.queue, allPassed)
	}
	k.tell()
	return p, nil
}

// watch waits for the process's death and finds others for what it had. Its place is
// another's when nobody is at its bell any more: who may be kept there for good, with a
// thread, counts.
func (k *Keeper) watch(p *process) {
	err := died(p.pidfd)
	if !k.buried(p, err) {
		return
	}
	<-p.silent
	k.mu.Lock()
	defer k.mu.Unlock()
	k.untake(p.uid, Share{Processes: 1})
	k.tell()
}

// buried is watch's work on the rest; false: the keeper is closed.
func (k *Keeper) buried(p *process, err error) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return false
	}
	if _, there := k.processes[p]; !there { // who came next was quicker
		return true
	}
	if err != nil {
		k.log.Error("watch a process", "pid", p.pid, "err", err)
	}
	k.bury(p)
	return true
}

// buryDead does what watch is about to: who comes to take a dead process's place is given
// what it had before it is told that this was all. mu is held.
func (k *Keeper) buryDead(svc service) {
	for p := range k.processes {
		if p.service == svc && isDead(p.pidfd) {
			k.bury(p)
		}
	}
}

// bury finds others for what a dead process had; mu is held.
func (k *Keeper) bury(p *process) {
	delete(k.processes, p)
	p.end()
	for key, c := range k.early {
		if c.process == p {
			k.unclaim(key, c)
		}
	}
	k.log.Info("a process has ended", "pid", p.pid, "service", p.service.String(), "sessions", len(p.slots))
	for key := range p.slots {
		if s := k.sessions[key.id]; s != nil && s.owners[key.slot] == p {
			delete(s.owners, key.slot)
			k.find(s, key.slot)
		}
	}
	k.tell()
}

// end gives up what a process had given us; mu is held. The bell is closed by who rings
// it: Close would wait for a write that blocks.
func (p *process) end() {
	p.leave()
	close(p.rings)
	_ = p.bell.SetDeadline(time.Unix(1, 0)) // ends a write that waits, if the descriptor is not one that blocks
	_ = p.ctl.Close()
	_ = p.pidfd.Close()
	_ = p.sessions.Close()
}

// ring rings a process's bell whenever that is asked for. Nobody else waits for
// it: the descriptor is whatever the process has sent, and it may make it one that blocks
// at any time. One that is full rings.
func (k *Keeper) ring(p *process) {
	defer close(p.silent)
	defer p.bell.Close()
	for range p.rings {
		if events, err := ready.Now(p.bell.Fd(), unix.POLLOUT); err == nil && events&unix.POLLOUT == 0 {
			continue
		}
		if err := cbox.RingBell(p.bell); err != nil {
			k.log.Warn("ring a bell", "pid", p.pid, "err", err)
		}
	}
}

// wake has a process look at its sessions; mu is held.
func (k *Keeper) wake(p *process) {
	if _, lives := k.processes[p]; !lives {
		return
	}
	select {
	case p.rings <- struct{}{}:
	default: // it will be rung anyway
	}
}

// hungUp finds others for what a process was not handed before it hung up.
func (k *Keeper) hungUp(p *process) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.turnFrom(p)
}

// turnFrom gives it no more; mu is held.
func (k *Keeper) turnFrom(p *process) {
	p.leave()
	for _, key := range p.queue {
		if s := k.sessions[key.id]; s != nil && s.owners[key.slot] == p {
			delete(s.owners, key.slot)
			delete(p.slots, key)
			k.find(s, key.slot)
		}
	}
	p.queue = nil
}

// leave: it takes no more sessions; mu is held.
func (p *process) leave() {
	p.gone = true
	p.more.Signal()
}

// hand sends a process what was put into its queue, as fast as it takes it.
func (k *Keeper) hand(p *process) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for !p.gone {
		if len(p.queue) == 0 {
			p.more.Wait()
			continue
		}
		key := p.queue[0]
		p.queue = p.queue[1:]
		if key == allPassed {
			k.passedAll(p)
			continue
		}
		if s := k.sessions[key.id]; s != nil && s.owners[key.slot] == p {
			k.pass(p, s, key.slot)
		}
	}
}

// pass sends a slot to a process; mu is held, but not while that may block.
func (k *Keeper) pass(p *process, s *session, slot uint32) {
	var conn syscall.Conn
	if slot == 0 {
		conn = s.conn
		if s.handed != nil { // who keeps it does so until we have said otherwise
			s.conn.notAlone()
		}
	}
	s.users++ // its descriptors stay open
	k.mu.Unlock()
	err := cbox.Pass(p.sessions, s.region, s.id, s.generation, slot, conn)
	k.mu.Lock()
	if err == nil && slot == 0 {
		s.wasHanded()
	}
	s.unuse()
	if err != nil {
		k.unpassed(p, slotKey{s.id, slot}, err)
	}
}

// passedAll tells a process that it has all that waited for it; mu is held, but not while
// that may block.
func (k *Keeper) passedAll(p *process) {
	k.mu.Unlock()
	err := cbox.PassedAll(p.sessions)
	k.mu.Lock()
	if err != nil {
		k.unpassed(p, allPassed, err)
	}
}

// unpassed is a slot that a process, though it lives, was not given: it comes behind the
// others, but it is one of all. mu is held, but not while it waits.
func (k *Keeper) unpassed(p *process, key slotKey, err error) {
	at := slices.Index(p.queue, allPassed)
	if at < 0 {
		at = len(p.queue)
	}
	p.queue = slices.Insert(p.queue, at, key)
	switch {
	case p.gone:
		k.turnFrom(p)
	case hungUp(err):
		k.log.Warn("a process takes no more sessions", "pid", p.pid, "service", p.service.String(), "err", err)
		k.turnFrom(p)
	default: // no memory, or too much is on its way: it is no fault of the process
		k.noisy.Warn("hand a session over", "session", key.id, "slot", key.slot, "pid", p.pid, "err", err)
		k.mu.Unlock()
		time.Sleep(failedPause)
		k.mu.Lock()
	}
}

// find gives a slot to a process that serves it: the one with the least to do.
// Without one it waits for one to join. mu is held.
func (k *Keeper) find(s *session, slot uint32) {
	name, open := s.slotName(slot)
	if !open || s.held {
		return // Thaw looks again
	}
	if slot == 0 && k.settle(s) {
		return
	}
	var best *process
	for p := range k.processes {
		if p.service == (service{s.uid, name}) && !p.gone && (best == nil || len(p.slots) < len(best.slots)) {
			best = p
		}
	}
	if best == nil {
		s.waits(k, slot)
		return
	}
	k.give(best, s, slot)
}

// give makes a process the owner of a slot; mu is held.
func (k *Keeper) give(p *process, s *session, slot uint32) {
	s.found(slot)
	s.own(slot, p)
	if slot == 0 {
		s.alone(k)
	}
	p.queue = append(p.queue, slotKey{s.id, slot})
	p.more.Signal()
}

// giveWaiting gives a process that has just joined what waits for its like; mu
// is held.
func (k *Keeper) giveWaiting(p *process) {
	for _, s := range k.sessions {
		for slot := range s.waiting {
			if name, open := s.slotName(slot); open && p.service == (service{s.uid, name}) {
				k.find(s, slot)
			}
		}
	}
}
