// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"context"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"lazystate/verbs/driver"
)

// waiter is a caller inside WaitCQ.
type waiter struct {
	fd int // eventfd: wakes it
	cq *completionQueue
}

func setEvent(fd int) {
	one := [8]byte{1}
	_, _ = unix.Write(fd, one[:]) // full is as good as set
}

func clearEvent(fd int) {
	var n [8]byte
	_, _ = unix.Read(fd, n[:]) // empty is as good as cleared
}

// earlier returns the earlier of two times, of which 0 is never.
func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// sleep waits until event is set or, if port is, until a packet is there, or
// until the time has come (0: never). d.mu is held before and after it.
func (d *Device) sleep(event int, port bool, until int64) {
	fds := [2]unix.PollFd{{Fd: int32(event), Events: unix.POLLIN}, {Fd: int32(d.port.FD()), Events: unix.POLLIN}}
	n := 1
	if port {
		n = 2
		if d.portRests > d.now() {
			n, until = 1, earlier(until, d.portRests)
		}
		until = earlier(until, d.timers.next())
		d.sleeper, d.sleepUntil = event, until
	}
	var ts *unix.Timespec
	if until != 0 {
		t := unix.NsecToTimespec(max(0, until-d.now()))
		ts = &t
	}
	d.mu.Unlock()
	_, _ = unix.Ppoll(fds[:n], ts, nil) // whoever is interrupted looks again
	d.mu.Lock()
	if d.sleeper == event {
		d.sleeper = -1
	}
	if fds[0].Revents != 0 {
		clearEvent(event)
	}
}

// WaitCQ polls cq until it has a completion, driving the device meanwhile.
func (d *Device) WaitCQ(ctx context.Context, h driver.CQ, wc []driver.WC) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	cq := d.cqs[h]
	switch {
	case cq == nil:
		return 0, fmt.Errorf("wait for CQ %d: %w", h, driver.ErrInvalid)
	case cq.n > 0:
		return cq.take(wc), nil
	case cq.overrun:
		return 0, cq.lost()
	case cq.waiter != nil:
		return 0, fmt.Errorf("wait for CQ %d: another caller waits for it: %w", h, driver.ErrInvalid)
	}
	w, err := d.newWaiter(cq)
	if err != nil {
		return 0, err
	}
	err = d.wait(ctx, w)
	d.leave(w)
	if err != nil {
		return 0, err
	}
	return cq.take(wc), nil
}

func (d *Device) wait(ctx context.Context, w *waiter) error {
	start := d.now()
	told := ctx.Done() == nil // that ctx ended will wake w
	look := d.busy
	for {
		if d.leader == nil {
			d.leader, d.leadSince = w, d.now()
		}
		if d.leader == w && (look || d.spins(start)) {
			d.active = w
			look = d.turn()
			d.active = nil
		}
		switch {
		case w.cq.n > 0:
			return nil
		case w.cq.overrun:
			return w.cq.lost()
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case d.closed || d.cqs[w.cq.handle] == nil:
			return driver.ErrClosed
		case d.leader == w && (look || d.spins(start)):
			continue
		}
		until := d.now() + int64(waitSlice)
		if !told && until > start+2*int64(waitSlice) {
			// Telling costs as much as a short wait lasts: only a long one pays for it.
			defer d.tellWhenDone(ctx, w)()
			told = true
		}
		if told {
			until = 0
		}
		d.sleep(w.fd, d.leader == w, until)
		look = true
	}
}

// tellWhenDone wakes w when ctx ends; what it returns calls that off.
func (d *Device) tellWhenDone(ctx context.Context, w *waiter) func() bool {
	return context.AfterFunc(ctx, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if w.cq != nil {
			setEvent(w.fd)
		}
	})
}

// spins reports whether a caller that has waited since start should look again
// before it sleeps.
func (d *Device) spins(start int64) bool {
	return d.cfg.Spin > 0 && d.now()-start < int64(d.cfg.Spin)
}

func (d *Device) newWaiter(cq *completionQueue) (*waiter, error) {
	var w *waiter
	if n := len(d.spare); n > 0 {
		w, d.spare = d.spare[n-1], d.spare[:n-1]
	} else {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			return nil, fmt.Errorf("wait for CQ %d: %w", cq.handle, err)
		}
		w = &waiter{fd: fd}
	}
	w.cq, cq.waiter = cq, w
	d.waiting = append(d.waiting, w)
	return w, nil
}

// leave ends a wait. A leader's place goes to another waiter, or lazily to the
// device's thread.
func (d *Device) leave(w *waiter) {
	for i, o := range d.waiting {
		if o == w {
			d.waiting = append(d.waiting[:i], d.waiting[i+1:]...)
			break
		}
	}
	w.cq.waiter, w.cq = nil, nil
	d.spare = append(d.spare, w)
	if d.leader != w {
		return
	}
	d.leader = nil
	d.lastLead = d.now()
	switch {
	case len(d.waiting) > 0:
		setEvent(d.waiting[0].fd)
	case d.threadDeep:
		setEvent(d.threadFD)
	}
}

// handBack asks the device's thread to drive at once.
func (d *Device) handBack() {
	if d.leader == nil && d.threadAway {
		d.lastLead = longAgo
		setEvent(d.threadFD)
	}
}

// thread drives the device when nobody leads.
func (d *Device) thread() {
	runtime.LockOSThread()
	defer close(d.threadDone)
	d.mu.Lock()
	defer d.mu.Unlock()
	away := standby
	for !d.closed {
		now := d.now()
		switch {
		case d.leader != nil && now-d.leadSince > int64(deepAfter):
			d.stayAway(true, 0)
		case d.leader != nil || now-d.lastLead < int64(away):
			d.stayAway(false, now+int64(away))
			away = min(2*away, standbyMax)
		default:
			away = standby
			if d.turn() {
				d.mu.Unlock() // others' posts get in between
				d.mu.Lock()
			} else {
				d.sleep(d.threadFD, true, 0)
			}
		}
	}
}

func (d *Device) stayAway(deep bool, until int64) {
	d.threadAway, d.threadDeep = true, deep
	d.sleep(d.threadFD, false, until)
	d.threadAway, d.threadDeep = false, false
}

// handle returns a number that no object of the device has, also when they have
// come round. Queue pairs have numbers of their own.
func (d *Device) handle() uint32 {
	for d.lastHandle++; d.lastHandle == 0 || d.taken(d.lastHandle); {
		d.lastHandle++
	}
	return d.lastHandle
}

func (d *Device) taken(h uint32) bool {
	_, pd := d.pds[driver.PD(h)]
	return pd || d.mrs[driver.MR(h)] != nil || d.windows[driver.MW(h)] != nil || d.channels[driver.Channel(h)] != nil ||
		d.cqs[driver.CQ(h)] != nil || d.srqs[driver.SRQ(h)] != nil || d.ahs[driver.AH(h)] != nil
}

// pollsBeforeLead is how many empty polls in a row make a caller the one who
// drives: before that the device's thread may be woken for the same packets.
const pollsBeforeLead = 32

// PollCQ takes completions. It drives the device if there are none, so that a
// caller who polls in a loop needs no other thread.
func (d *Device) PollCQ(h driver.CQ, wc []driver.WC) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	cq := d.cqs[h]
	if cq == nil {
		return 0, fmt.Errorf("poll CQ %d: %w", h, driver.ErrInvalid)
	}
	if cq.n == 0 && d.leader == nil && !d.closed {
		d.turn()
	}
	if cq.n > 0 {
		cq.empty = 0
		return cq.take(wc), nil
	}
	if cq.overrun {
		return 0, cq.lost()
	}
	if cq.empty++; cq.empty >= pollsBeforeLead {
		d.lastLead = d.now()
	}
	return 0, nil
}
