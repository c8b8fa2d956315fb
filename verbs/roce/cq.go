// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"fmt"

	"golang.org/x/sys/unix"

	"lazystate/verbs/driver"
)

// armed is what a completion queue raises its next event for.
type armed uint8

const (
	armedNone armed = iota
	armedSolicited
	armedAny
)

// entry is a completion, and the send queue in which it keeps a place until it is
// polled: a caller that posts no more than it polls never overruns the queue.
type entry struct {
	wc   driver.WC
	sent *requester
}

// completionQueue is a ring of completions.
type completionQueue struct {
	handle driver.CQ
	ring   []entry
	head   int
	n      int
	ch     *channel
	armed  armed
	waiter *waiter // in WaitCQ
	empty  int     // polls in a row that found nothing
	users  int     // queue pairs

	overrun bool // completions were lost: the end of it
}

// lost is the error of a queue that is empty and will stay so.
func (cq *completionQueue) lost() error {
	if !cq.overrun {
		return nil
	}
	return fmt.Errorf("CQ %d: more than its %d entries came, completions were lost: %w", cq.handle, len(cq.ring), driver.ErrInvalid)
}

// channel is where armed queues announce themselves.
type channel struct {
	fd    int // eventfd, readable while pending has something
	ready []*completionQueue
	users int
}

func (d *Device) CreateChannel() (driver.Channel, int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return 0, 0, driver.ErrClosed
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return 0, 0, fmt.Errorf("create completion channel: %w", err)
	}
	h := driver.Channel(d.handle())
	d.channels[h] = &channel{fd: fd}
	return h, fd, nil
}

func (d *Device) DestroyChannel(h driver.Channel) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	ch := d.channels[h]
	switch {
	case ch == nil:
		return fmt.Errorf("destroy channel %d: %w", h, driver.ErrInvalid)
	case ch.users > 0:
		return fmt.Errorf("destroy channel %d: %d completion queues use it: %w", h, ch.users, driver.ErrInvalid)
	}
	delete(d.channels, h)
	return unix.Close(ch.fd)
}

func (d *Device) NextCQ(h driver.Channel) (driver.CQ, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ch := d.channels[h]
	if ch == nil {
		return 0, fmt.Errorf("next event of channel %d: %w", h, driver.ErrInvalid)
	}
	if len(ch.ready) == 0 {
		return 0, nil
	}
	cq := ch.ready[0]
	ch.ready = ch.ready[1:]
	if len(ch.ready) == 0 {
		ch.ready = nil
		clearEvent(ch.fd)
	}
	return cq.handle, nil
}

func (ch *channel) announce(cq *completionQueue) {
	ch.ready = append(ch.ready, cq)
	if len(ch.ready) == 1 {
		setEvent(ch.fd)
	}
}

// forget drops the events of a queue that is going.
func (ch *channel) forget(cq *completionQueue) {
	kept := ch.ready[:0]
	for _, c := range ch.ready {
		if c != cq {
			kept = append(kept, c)
		}
	}
	ch.ready = kept
	if len(kept) == 0 {
		clearEvent(ch.fd)
	}
}

func (d *Device) CreateCQ(depth int, h driver.Channel) (driver.CQ, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ch := d.channels[h]
	switch {
	case d.closed:
		return 0, driver.ErrClosed
	case depth < 1 || depth > maxCQE:
		return 0, fmt.Errorf("create CQ of %d entries: 1 to %d: %w", depth, maxCQE, driver.ErrInvalid)
	case h != 0 && ch == nil:
		return 0, fmt.Errorf("create CQ: no channel %d: %w", h, driver.ErrInvalid)
	}
	cq := &completionQueue{handle: driver.CQ(d.handle()), ring: make([]entry, depth), ch: ch}
	d.cqs[cq.handle] = cq
	if ch != nil {
		ch.users++
	}
	return cq.handle, nil
}

func (d *Device) DestroyCQ(h driver.CQ) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	cq := d.cqs[h]
	switch {
	case cq == nil:
		return fmt.Errorf("destroy CQ %d: %w", h, driver.ErrInvalid)
	case cq.users > 0:
		return fmt.Errorf("destroy CQ %d: queue pairs use it: %w", h, driver.ErrInvalid)
	}
	delete(d.cqs, h)
	if cq.ch != nil {
		cq.ch.users--
		cq.ch.forget(cq)
	}
	if cq.waiter != nil {
		setEvent(cq.waiter.fd)
	}
	return nil
}

func (d *Device) ArmCQ(h driver.CQ, solicitedOnly bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	cq := d.cqs[h]
	if cq == nil {
		return fmt.Errorf("arm CQ %d: %w", h, driver.ErrInvalid)
	}
	if !solicitedOnly {
		cq.armed = armedAny
	} else if cq.armed == armedNone {
		cq.armed = armedSolicited
	}
	cq.empty = 0
	d.handBack() // whoever arms is about to sleep elsewhere
	return nil
}

// push adds a completion, of a request of sent if that is not nil; solicited is
// whether a peer asked for an event.
func (d *Device) push(cq *completionQueue, wc driver.WC, sent *requester, solicited bool) {
	if cq.overrun || cq.n == len(cq.ring) {
		d.overran(cq)
		return
	}
	if sent != nil {
		sent.unpolled++
	}
	cq.ring[(cq.head+cq.n)%len(cq.ring)] = entry{wc, sent}
	cq.n++
	if cq.armed == armedAny || cq.armed == armedSolicited && (solicited || wc.Status != driver.WCSuccess) {
		cq.armed = armedNone
		if cq.ch != nil {
			cq.ch.announce(cq)
		}
	}
	if cq.waiter != nil && cq.waiter != d.active {
		setEvent(cq.waiter.fd)
	}
}

// overran ends a queue that has no room for a completion.
func (d *Device) overran(cq *completionQueue) {
	d.count.CQOverruns++
	if !cq.overrun {
		cq.overrun = true
		if cq.waiter != nil {
			setEvent(cq.waiter.fd) // another caller may have taken what woke it
		}
		d.raise(driver.AsyncEvent{Type: driver.EventCQErr, CQ: cq.handle})
	}
}

// take moves completions out.
func (cq *completionQueue) take(wc []driver.WC) int {
	n := min(len(wc), cq.n)
	for i := range n {
		e := &cq.ring[cq.head]
		wc[i] = e.wc
		e.polled()
		if cq.head++; cq.head == len(cq.ring) {
			cq.head = 0
		}
	}
	cq.n -= n
	return n
}

// drop removes the completions of one queue pair.
func (cq *completionQueue) drop(qpn uint32) {
	kept := 0
	for i := range cq.n {
		e := cq.ring[(cq.head+i)%len(cq.ring)]
		if e.wc.QPNum == qpn {
			e.polled()
			continue
		}
		cq.ring[(cq.head+kept)%len(cq.ring)] = e
		kept++
	}
	cq.n = kept
}

func (e *entry) polled() {
	if e.sent != nil {
		e.sent.unpolled--
		e.sent = nil
	}
}
