// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"time"

	"golang.org/x/sys/unix"

	"lazystate/verbs/driver"
	"lazystate/verbs/internal/soft"
)

// engine is a queue pair's connection; under its lock.
type engine struct {
	dev *Device
	qp  *soft.QP

	seg   []byte // ours: what the peer writes into
	segFD int

	gid     driver.GID
	peer    uint32 // number of the peer's queue pair
	link    *link  // nil before RTR
	waiting []opener

	// Requester.
	far    mapping // the peer's segment; empty: not opened yet
	farPD  uint32
	dead   bool        // nobody answers any more
	timer  *time.Timer // until the segment is opened
	head   uint64      // bytes produced
	pushed uint64      // bytes of the message that is being produced
	sent   uint64      // messages
	acked  uint64

	// Responder.
	tail     uint64
	got      uint64 // bytes of the message that is being consumed
	recv     *soft.Recv
	accepted uint64
	starving bool // a message waits for a receive
	stopped  bool // no message is accepted any more
	rnr      *time.Timer
}

// opener is a peer that asked for our segment before we knew our peer.
type opener struct {
	s   *served
	src uint32
}

func engineOf(qp *soft.QP) *engine {
	e, _ := qp.X.(*engine)
	return e
}

func (d *Device) newEngine(qp *soft.QP) (*engine, error) {
	fd, b, err := soft.Shared(segSize)
	if err != nil {
		return nil, err
	}
	u32(b, segMagic).Store(magic)
	u32(b, segMagic+4).Store(version)
	return &engine{dev: d, qp: qp, seg: b, segFD: fd}, nil
}

// connect is the move to RTR: from now on the peer may do things.
func (e *engine) connect() {
	e.gid, e.peer = e.qp.Attr.AV.DGID, e.qp.Attr.DestQPN
	u32(e.seg, segAccess).Store(uint32(e.qp.Attr.Access))
	u32(e.seg, segState).Store(segReady)
	d := e.dev
	d.mu.Lock()
	d.addEngine(e)
	e.link = d.linkTo(e.gid)
	d.mu.Unlock()
	e.link.join(e)
	for _, o := range e.waiting {
		e.admit(o)
	}
	e.waiting = nil
}

// admit gives the peer our segment if it is the one that we are connected with.
func (e *engine) admit(o opener) {
	ok := (e.qp.State == driver.QPRTR || e.qp.State == driver.QPRTS) && o.s.gid == e.gid && o.src == e.peer
	o.s.answerOpen(e, o.src, e.qp.Num, ok)
}

// answerOpen sends the segment of e, or says that there is none.
func (s *served) answerOpen(e *engine, src, num uint32, ok bool) {
	m := &message{Kind: kOpened, Src: src, QPN: num}
	if !ok {
		m.Status = 1
		s.send(m)
		return
	}
	m.PD = uint32(e.qp.PD)
	s.send(m, e.segFD)
}

// opening is a peer's wish to talk to one of our queue pairs. Before that is in
// RTR the peer waits: it may be ahead of us.
func (d *Device) opening(s *served, m *message) {
	o := opener{s, m.Src}
	qp := d.ByNum(m.QPN)
	if qp == nil {
		s.answerOpen(nil, m.Src, m.QPN, false)
		return
	}
	qp.Lock()
	defer qp.Unlock()
	e := engineOf(qp)
	if e == nil && d.ByNum(m.QPN) == qp { // in RESET, and not destroyed meanwhile
		var err error
		if e, err = d.newEngine(qp); err == nil {
			qp.X = e
		}
	}
	switch {
	case e == nil:
		s.answerOpen(nil, m.Src, m.QPN, false)
	case qp.State == driver.QPReset || qp.State == driver.QPInit:
		e.waiting = append(e.waiting, o)
	default:
		e.admit(o)
	}
}

// opened is the peer's answer.
func (e *engine) opened(seg mapping, pd uint32) {
	e.qp.Lock()
	defer e.qp.Unlock()
	if e.far.b != nil || e.link == nil {
		seg.unmap()
		return
	}
	e.far, e.farPD, e.dead = seg, pd, seg.b == nil
	stop(e.timer)
	e.act()
}

// openTimeout is how long we wait for the segment at least: the peer's process
// has to be scheduled for that, which no ack timeout has in mind.
const openTimeout = 2 * time.Second

func (e *engine) startTimer() {
	ack := driver.AckTimeout(e.qp.Attr.Timeout)
	if e.timer != nil || ack == 0 {
		return
	}
	e.timer = time.AfterFunc(max(openTimeout, ack*time.Duration(e.qp.Attr.RetryCount+1)), func() {
		e.qp.Lock()
		defer e.qp.Unlock()
		if e.far.b == nil {
			e.dead = true
			e.act()
		}
	})
}

func stop(t *time.Timer) {
	if t != nil {
		t.Stop()
	}
}

// alone: the link to the peer is down.
func (e *engine) alone() {
	e.qp.Lock()
	defer e.qp.Unlock()
	e.dead = true
	e.act()
}

// act does what can be done now, as responder and as requester.
func (e *engine) act() {
	if e.seg == nil {
		return // it was destroyed
	}
	if u32(e.seg, segFault).Load() != 0 && e.qp.State != driver.QPError {
		e.dev.Raise(driver.AsyncEvent{Type: driver.EventQPAccessErr, QP: e.qp.Handle})
		e.qp.Fail()
		return
	}
	e.serve()
	e.acks()
	e.run()
}

// gone is the move to the error state: the peer's operations find nobody.
func (e *engine) gone() {
	stop(e.timer)
	stop(e.rnr)
	u32(e.seg, segState).Store(segGone)
	if e.link != nil {
		e.link.notify(e.peer)
	}
	for _, o := range e.waiting {
		o.s.answerOpen(nil, o.src, e.qp.Num, false)
	}
	e.waiting = nil
	if e.recv != nil && e.qp.State == driver.QPError { // half of a message had come
		e.qp.EndRecv(driver.WC{ID: e.recv.ID, Status: driver.WCWRFlushErr, Op: driver.WCRecv}, false)
	}
	e.recv = nil
}

// destroy ends the connection and unmaps it.
func (e *engine) destroy() {
	e.gone()
	if e.link != nil {
		e.link.leave(e)
		e.dev.mu.Lock()
		e.dev.dropEngine(e)
		e.dev.mu.Unlock()
	}
	e.far.unmap()
	unix.Munmap(e.seg)
	unix.Close(e.segFD)
	e.seg = nil
}

// awaitPeer waits until the peer is out of our memory, if it is in it.
func (e *engine) awaitPeer() {
	inside := uint32(0)
	for pause := time.Microsecond; ; pause = min(2*pause, time.Millisecond) {
		e.qp.Lock()
		word := uint32(0)
		if e.seg != nil && !e.dead {
			word = u32(e.seg, segBusy).Load()
		}
		e.qp.Unlock()
		if word&1 == 0 || inside != 0 && word != inside {
			return
		}
		inside = word
		time.Sleep(pause)
	}
}
