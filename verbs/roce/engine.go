// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"errors"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/verbs/driver"
)

// The engine is whoever holds Device.mu. Three kinds of threads drive it: one
// that posts (its packets leave before the post returns), one that waits in
// WaitCQ and meanwhile is the leader, polling the port by itself, and the
// device's own thread, for when nobody leads.
//
// Handing the port over costs a wake-up, so it is done lazily: the device's
// thread stays away for standby after the last leader left, since a caller that
// waited once will most likely wait again.

const (
	standby    = 500 * time.Microsecond // the device's thread looks whether leaders still come
	standbyMax = 2 * time.Millisecond
	deepAfter  = 5 * time.Millisecond // of one leader's reign: then it is woken, it does not look
	recvBatch  = 32
	turnBudget = 64 // packets a queue pair sends before it is the next one's turn
	waitSlice  = 5 * time.Millisecond
	portRest   = 10 * time.Millisecond // for a port that fails: its descriptor may be readable for ever

	longAgo = math.MinInt64 / 2 // what now() never was
)

// now returns nanoseconds since the device was opened.
func (d *Device) now() int64 { return int64(time.Since(d.opened)) }

// turn receives a batch, answers, retransmits, and sends what is queued. It
// reports whether there is more to do at once.
func (d *Device) turn() bool {
	now := d.now()
	n, err := d.port.Recv(d.rx[:])
	d.portFares(err)
	for i := range n {
		d.input(&d.rx[i], now)
	}
	d.answer()
	if n < len(d.rx) || now-d.lastExpire > int64(standbyMax) {
		d.expire(now) // what has come was looked at before anybody is given up
		d.lastExpire = now
	}
	more := d.sendTurns(now)
	d.tx.flush()
	d.busy = n > 1
	return more || n == len(d.rx)
}

// sendTurns lets every queue pair with something to send send a part of it.
func (d *Device) sendTurns(now int64) bool {
	list := d.runnable
	d.runnable = d.idle[:0]
	for _, q := range list {
		q.queued = false
		more := q.respond(turnBudget)
		if q.pump(now, turnBudget) || more { // who is read from without end sends too
			d.run(q)
		}
	}
	d.idle = list[:0]
	return len(d.runnable) > 0
}

// run puts q among those that have something to send.
func (d *Device) run(q *queuePair) {
	if !q.queued && !q.gone {
		q.queued = true
		d.runnable = append(d.runnable, q)
	}
}

// answer sends the acknowledgements that a batch of packets asked for.
func (d *Device) answer() {
	for _, q := range d.toAnswer {
		q.resp.listed = false
		if !q.gone && q.respond(turnBudget) {
			d.run(q)
		}
	}
	d.toAnswer = d.toAnswer[:0]
}

// portFares takes what the port said last; users are told when it fails and when it
// works again.
func (d *Device) portFares(err error) {
	if d.closed || errors.Is(err, unix.EINTR) {
		return
	}
	if err != nil {
		d.count.PortErrors++
		d.portRests = d.now() + int64(portRest)
	}
	if down := err != nil; down != d.portDown {
		d.portDown = down
		e := driver.AsyncEvent{Type: driver.EventPortActive, Port: 1}
		if down {
			e.Type = driver.EventPortErr
		}
		d.raise(e)
	}
}
