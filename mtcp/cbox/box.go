// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/internal/seqnum"
	"lazystate/mtcp"
)

// Box is a session's box in the hands of who keeps it or moves it, while its
// processes are alive or after their death.
type Box struct {
	region Region
	m      memory
	head   *Head
	device bool // the region is the module's
}

// OpenBox maps a box that came from another process, and checks it.
func OpenBox(r Region) (*Box, error) {
	device, err := r.check()
	if err != nil {
		return nil, err
	}
	m, err := r.mapped()
	if err != nil {
		return nil, err
	}
	h, err := readHead(m)
	if err != nil {
		m.unmap()
		return nil, err
	}
	return &Box{r, m, h, device}, nil
}

// Close gives up the mapping.
func (b *Box) Close() {
	b.m.unmap()
	b.m = nil
}

// Region is where it lies.
func (b *Box) Region() Region { return b.region }

// Outlives reports whether it lies in memory that outlives its kernel.
func (b *Box) Outlives() bool { return b.device }

// ID, Generation and Slots are what a box says once and for all.
func (b *Box) ID() ID             { return b.head.ID() }
func (b *Box) Generation() uint64 { return b.head.Generation }
func (b *Box) Slots() uint32      { return uint32(len(b.head.ProcTable)) }

// Sizes is a Config that makes another box as large as this one.
func (b *Box) Sizes() Config {
	h, chans := b.head, len(b.head.ChanTable)
	c := Config{Log: int(h.Log.Len), Hold: int(h.Hold.Len), Processes: len(h.ProcTable), Channels: chans / 2,
		Snapshot: max(0, int(h.ProcTable[0].SnapLen)-uapi.CboxSnapSize-chans*uapi.CboxEndSize)}
	if chans > 0 {
		c.Ring = int(h.ChanTable[0].Ring.Len)
	}
	return c
}

// Head returns a fresh, checked copy of the box's head.
func (b *Box) Head() (*Head, error) { return readHead(b.m) }

// State returns where the session stands.
func (b *Box) State() uint32 { return b.state().Load() }

func (b *Box) state() *atomic.Uint32 { return b.m.word32(uapi.CboxHeadStateOff) }

func (b *Box) set(state uint32) {
	b.state().Store(state)
	b.m.wake(uapi.CboxHeadStateOff)
}

func (b *Box) proc(slot uint32, field int) uint64 {
	return uint64(b.head.Procs.Off) + uint64(slot)*uapi.CboxProcSize + uint64(field)
}

// Freeze stops the processes of a session between two operations: those that
// come wait until Thaw or Depart. dead says which slots have no process any
// more, as whoever holds their pidfds knows; nil trusts the pids in the box. It
// fails, and thaws, if a process stays inside an operation: it was stopped there.
// One that its root has closed well can be frozen as long as it is kept: the client
// may not have all of it yet.
func (b *Box) Freeze(dead func(slot uint32) bool, most time.Duration) error {
	if !b.state().CompareAndSwap(uapi.CboxLive, uapi.CboxLeaving) &&
		!(b.final() && b.state().CompareAndSwap(uapi.CboxClosed, uapi.CboxLeaving)) {
		return fmt.Errorf("freeze session %s: it is %s", b.head.ID(), uapi.CboxStateName(b.State()))
	}
	end := time.Now().Add(most) // for all of them: others' sessions may be frozen meanwhile
	for slot := range uint32(b.head.Procs.Count) {
		busy := b.m.word32(b.proc(slot, uapi.CboxProcBusyOff))
		lives := func() bool { return Alive(b.m.word64(b.proc(slot, uapi.CboxProcPIDOff)).Load()) }
		if dead != nil {
			lives = func() bool { return !dead(slot) }
		}
		if err := settle(busy, lives, time.Until(end)); err != nil {
			b.Thaw()
			return fmt.Errorf("freeze session %s, slot %d: %w", b.head.ID(), slot, err)
		}
	}
	return nil
}

// final reports that its root has closed it, and nobody has to go on with it.
func (b *Box) final() bool {
	snap, err := b.Snapshot(0)
	return err == nil && snap != nil && snap.Final
}

// Thaw lets a frozen session go on here; Finish one that is closed.
func (b *Box) Thaw() { b.set(uapi.CboxLive) }

// Depart says that the session is elsewhere. Ring the bells of its processes.
func (b *Box) Depart() { b.set(uapi.CboxMigrated) }

// Bind tells the box of the socket that its processes will have, where the
// application had read and written so much of the streams when the kernel's
// counters were what they are now. Nobody may use the socket yet.
func (b *Box) Bind(conn syscall.Conn, read, written uint64) error {
	var r, w uint64
	if err := control(conn, func(fd int) (err error) { r, w, err = offsets(fd, 0, 0); return }); err != nil {
		return fmt.Errorf("bind session %s to a socket: %w", b.head.ID(), err)
	}
	if b.device {
		if err := b.region.bind(conn); err != nil {
			return fmt.Errorf("bind session %s to a socket: %w", b.head.ID(), err)
		}
	}
	b.m.put64(uapi.CboxHeadReadBaseOff, read-r)
	b.m.put64(uapi.CboxHeadWriteBaseOff, written-w)
	b.m.put64(uapi.CboxHeadReadOff, read)
	b.m.put64(uapi.CboxHeadWrittenOff, written)
	return nil
}

// Offsets returns how far the application has read and written, by the kernel's
// counters of its socket.
func (b *Box) Offsets(conn syscall.Conn) (read, written uint64, err error) {
	var c mtcp.Counters
	if err := control(conn, func(fd int) (err error) { c, err = Counters(fd); return }); err != nil {
		return 0, 0, err
	}
	return b.Count(c)
}

// Count is Offsets for who has asked the kernel already.
func (b *Box) Count(c mtcp.Counters) (read, written uint64, err error) {
	if read, written, err = c.Offsets(); err != nil {
		return 0, 0, err
	}
	return read + b.m.word64(uapi.CboxHeadReadBaseOff).Load(), written + b.m.word64(uapi.CboxHeadWriteBaseOff).Load(), nil
}

// Over reports a connection that has ended in a way that lets nobody go on: it was
// reset, or nobody answered, or what ended it cannot be told any more. Of one that
// both ends have closed a process may have to read the rest.
func (b *Box) Over(conn syscall.Conn) (bool, error) {
	var c mtcp.Counters
	if err := control(conn, func(fd int) (err error) { c, err = Counters(fd); return }); err != nil {
		return false, err
	}
	if c.State != mtcp.Close {
		return !c.State.Movable(), nil
	}
	_, written, err := b.Count(c)
	return err != nil || written < b.m.word64(uapi.CboxHeadWrittenOff).Load(), nil // see mtcp.Counters.Ended
}

// Number notes the sequence numbers of byte 0 of both streams, once somebody
// has been able to see them.
func (b *Box) Number(c mtcp.Connection) {
	b.m.put32(uapi.CboxHeadUpFirstOff, uint32(c.Up.First))
	b.m.put32(uapi.CboxHeadDownFirstOff, uint32(c.Down.First))
	b.m.word32(uapi.CboxHeadNumberedOff).Store(uapi.CboxNumbered)
}

// Numbers returns what Number has noted.
func (b *Box) Numbers() (c mtcp.Connection, ok bool) {
	ok = b.m.word32(uapi.CboxHeadNumberedOff).Load() == uapi.CboxNumbered
	c.Up.First = seqnum.Value(b.m.word32(uapi.CboxHeadUpFirstOff).Load())
	c.Down.First = seqnum.Value(b.m.word32(uapi.CboxHeadDownFirstOff).Load())
	return c, ok
}

// Snapshot returns what a process exported last, or nil.
func (b *Box) Snapshot(slot uint32) (*Snapshot, error) {
	if slot >= uint32(len(b.head.ProcTable)) {
		return nil, damaged("slot", "%d of %d", slot, len(b.head.ProcTable))
	}
	return lastSnapshot(b, &b.head.ProcTable[slot], len(b.head.ChanTable))
}

// Finish does for a session whose root has closed it what the root may not have
// lived to do: it sends what is left and closes the sending half. It reports
// whether that is done; false means that the socket takes no more for now.
func (b *Box) Finish(conn syscall.Conn) (bool, error) {
	snap, err := b.Snapshot(0)
	if err != nil {
		return false, err
	}
	if snap == nil || !snap.Final {
		return false, fmt.Errorf("finish session %s: its process has not closed it", b.head.ID())
	}
	var c mtcp.Counters
	if err := control(conn, func(fd int) (err error) { c, err = Counters(fd); return }); err != nil {
		return false, err
	}
	if !c.State.Movable() { // both ends have closed, or it was reset
		b.set(uapi.CboxClosed)
		return true, nil
	}
	_, out, err := b.Count(c)
	if err != nil {
		return false, err
	}
	hold := ring{b.m[b.head.Hold.Off:][:b.head.Hold.Len], 0}
	if snap.LSW > out && snap.LSW-out > b.head.Hold.Len {
		return false, damaged("held output", "[%d,%d)", out, snap.LSW)
	}
	done := false
	err = control(conn, func(fd int) error {
		for out < snap.LSW {
			n, err := unix.SendmsgN(fd, hold.at(out, snap.LSW-out), nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
			if err == unix.EAGAIN {
				return nil
			}
			if err != nil {
				return err
			}
			out += uint64(n)
		}
		done = true
		return shutdown(fd, unix.SHUT_WR)
	})
	if done && err == nil {
		b.set(uapi.CboxClosed)
	}
	return done, err
}
