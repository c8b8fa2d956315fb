// SPDX-License-Identifier: Apache-2.0

package soft

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"lazystate/verbs/driver"
)

// channel is an eventfd and the queues that have an event.
type channel struct {
	handle driver.Channel
	fd     int
	mu     sync.Mutex
	ready  []driver.CQ
	users  int
}

// CreateChannel makes a completion channel.
func (d *Device) CreateChannel() (driver.Channel, int, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return 0, -1, fmt.Errorf("eventfd: %w", err)
	}
	ch := &channel{fd: fd}
	ch.handle = d.channels.add(ch)
	return ch.handle, fd, nil
}

// DestroyChannel ends it.
func (d *Device) DestroyChannel(h driver.Channel) error {
	ch, err := d.channels.get(h)
	if err != nil {
		return err
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.users > 0 {
		return fmt.Errorf("%d queues report to it: %w", ch.users, driver.ErrInvalid)
	}
	d.channels.remove(h)
	return unix.Close(ch.fd)
}

// NextCQ takes one event; 0 if there is none.
func (d *Device) NextCQ(h driver.Channel) (driver.CQ, error) {
	ch, err := d.channels.get(h)
	if err != nil {
		return 0, err
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if len(ch.ready) == 0 {
		return 0, nil
	}
	cq := ch.ready[0]
	ch.ready = ch.ready[1:]
	if len(ch.ready) == 0 {
		var count [8]byte
		unix.Read(ch.fd, count[:]) // not readable any more
	}
	return cq, nil
}

func (ch *channel) event(cq driver.CQ) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.ready = append(ch.ready, cq)
	unix.Write(ch.fd, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

func (ch *channel) forget(cq driver.CQ) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	kept := ch.ready[:0]
	for _, c := range ch.ready {
		if c != cq {
			kept = append(kept, c)
		}
	}
	ch.ready = kept
	ch.users--
}

type arming uint8

const (
	unarmed arming = iota
	armedSolicited
	armedAny
)

// entry is a completion, and the slots of qp's send queue that it frees.
type entry struct {
	wc    driver.WC
	qp    *QP
	slots int
}

// CQ is a completion queue.
type CQ struct {
	dev    *Device
	handle driver.CQ
	ch     *channel
	depth  int
	wake   chan struct{} // something was pushed: for WaitCQ

	mu      sync.Mutex
	entries []entry
	first   int // entries before it were taken
	armed   arming
	overrun bool
	users   int
}

// CreateCQ makes a completion queue.
func (d *Device) CreateCQ(depth int, h driver.Channel) (driver.CQ, error) {
	if depth <= 0 || d.attr.MaxCQE > 0 && depth > d.attr.MaxCQE {
		return 0, fmt.Errorf("%d entries, at most %d: %w", depth, d.attr.MaxCQE, driver.ErrInvalid)
	}
	cq := &CQ{dev: d, depth: depth, wake: make(chan struct{}, 1)}
	if h != 0 {
		ch, err := d.channels.get(h)
		if err != nil {
			return 0, err
		}
		ch.mu.Lock()
		ch.users++
		ch.mu.Unlock()
		cq.ch = ch
	}
	cq.handle = d.cqs.add(cq)
	return cq.handle, nil
}

// DestroyCQ ends it.
func (d *Device) DestroyCQ(h driver.CQ) error {
	cq, err := d.cqs.get(h)
	if err != nil {
		return err
	}
	cq.mu.Lock()
	defer cq.mu.Unlock()
	if cq.users > 0 {
		return fmt.Errorf("%d queue pairs complete to it: %w", cq.users, driver.ErrInvalid)
	}
	d.cqs.remove(h)
	if cq.ch != nil {
		cq.ch.forget(h)
	}
	return nil
}

// PollCQ takes completions.
func (d *Device) PollCQ(h driver.CQ, wc []driver.WC) (int, error) {
	cq, err := d.cqs.get(h)
	if err != nil {
		return 0, err
	}
	return cq.poll(wc)
}

func (cq *CQ) poll(wc []driver.WC) (int, error) {
	cq.mu.Lock()
	defer cq.mu.Unlock()
	n := 0
	for ; n < len(wc) && cq.first < len(cq.entries); n++ {
		e := &cq.entries[cq.first]
		wc[n] = e.wc
		if e.slots > 0 {
			e.qp.used.Add(-int32(e.slots))
		}
		*e = entry{}
		cq.first++
	}
	if cq.first == len(cq.entries) {
		cq.entries, cq.first = cq.entries[:0], 0
	}
	if n == 0 && cq.overrun {
		return 0, fmt.Errorf("more than its %d entries came: completions were lost: %w", cq.depth, driver.ErrInvalid)
	}
	return n, nil
}

// WaitCQ takes completions and waits for the first.
func (d *Device) WaitCQ(ctx context.Context, h driver.CQ, wc []driver.WC) (int, error) {
	cq, err := d.cqs.get(h)
	if err != nil {
		return 0, err
	}
	for {
		if n, err := cq.poll(wc); n > 0 || err != nil {
			return n, err
		}
		select {
		case <-cq.wake:
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-d.closed:
			return 0, driver.ErrClosed
		}
	}
}

// ArmCQ asks for an event.
func (d *Device) ArmCQ(h driver.CQ, solicitedOnly bool) error {
	cq, err := d.cqs.get(h)
	if err != nil {
		return err
	}
	cq.mu.Lock()
	defer cq.mu.Unlock()
	switch {
	case !solicitedOnly:
		cq.armed = armedAny
	case cq.armed == unarmed:
		cq.armed = armedSolicited
	}
	return nil
}

// push adds a completion; false: there is no room, which is the end of the queue.
func (cq *CQ) push(e entry, solicited bool) bool {
	cq.mu.Lock()
	defer cq.mu.Unlock()
	if cq.overrun {
		return false
	}
	if len(cq.entries)-cq.first >= cq.depth {
		cq.overrun = true
		cq.dev.Raise(driver.AsyncEvent{Type: driver.EventCQErr, CQ: cq.handle})
	} else {
		if cq.first > 64 && cq.first > len(cq.entries)/2 {
			cq.entries = append(cq.entries[:0], cq.entries[cq.first:]...)
			cq.first = 0
		}
		cq.entries = append(cq.entries, e)
	}
	if cq.armed == armedAny || cq.armed == armedSolicited && (solicited || e.wc.Status != driver.WCSuccess) {
		cq.armed = unarmed
		if cq.ch != nil {
			cq.ch.event(cq.handle)
		}
	}
	select {
	case cq.wake <- struct{}{}:
	default:
	}
	return !cq.overrun
}

// drop forgets the completions of a queue pair that is destroyed.
func (cq *CQ) drop(qp *QP) {
	cq.mu.Lock()
	defer cq.mu.Unlock()
	kept := cq.entries[:0]
	for _, e := range cq.entries[cq.first:] {
		if e.qp != qp {
			kept = append(kept, e)
		}
	}
	clear(cq.entries[len(kept):])
	cq.entries, cq.first = kept, 0
	cq.users--
}
