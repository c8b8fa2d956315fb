// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"fmt"

	"lazystate/verbs/driver"
)

// recvWQE is a posted receive.
type recvWQE struct {
	id uint64
	sg []driver.SGE
}

// recvQueue is a ring of receives, of one queue pair or shared.
type recvQueue struct {
	ring       []recvWQE
	head, tail uint64
}

func (q *recvQueue) init(n int) { *q = recvQueue{ring: make([]recvWQE, n)} }

func (q *recvQueue) len() int { return int(q.tail - q.head) }

// put takes receives until one is bad or the ring is full.
func (q *recvQueue) put(wrs []driver.RecvWR, maxSGE int) (int, error) {
	for i := range wrs {
		wr := &wrs[i]
		switch {
		case q.len() == len(q.ring):
			return i, driver.ErrQueueFull
		case len(wr.SG) > maxSGE:
			return i, fmt.Errorf("%d pieces, at most %d: %w", len(wr.SG), maxSGE, driver.ErrInvalid)
		}
		w := &q.ring[q.tail%uint64(len(q.ring))]
		w.id, w.sg = wr.ID, append(w.sg[:0], wr.SG...)
		q.tail++
	}
	return len(wrs), nil
}

// get moves the oldest receive into w, whose storage the ring takes over.
func (q *recvQueue) get(w *recvWQE) bool {
	if q.head == q.tail {
		return false
	}
	old := &q.ring[q.head%uint64(len(q.ring))]
	old.sg, w.sg = w.sg[:0], old.sg
	w.id = old.id
	q.head++
	return true
}

// sharedQueue is an SRQ.
type sharedQueue struct {
	recvQueue
	handle driver.SRQ
	pd     driver.PD
	maxSGE int
	limit  int // armed: an event when fewer are left
	users  int
}

func (d *Device) CreateSRQ(pd driver.PD, maxWR, sge int) (driver.SRQ, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, known := d.pds[pd]
	if !known || maxWR < 1 || maxWR > maxSRQWR || sge < 0 || sge > maxSGE {
		return 0, fmt.Errorf("create SRQ of %d receives, %d pieces, PD %d: %w", maxWR, sge, pd, driver.ErrInvalid)
	}
	s := &sharedQueue{handle: driver.SRQ(d.handle()), pd: pd, maxSGE: sge}
	s.init(maxWR)
	d.srqs[s.handle] = s
	return s.handle, nil
}

func (d *Device) srq(h driver.SRQ) (*sharedQueue, error) {
	if s := d.srqs[h]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("no SRQ %d: %w", h, driver.ErrInvalid)
}

func (d *Device) ArmSRQ(h driver.SRQ, limit int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := d.srq(h)
	if err != nil || limit < 0 || limit > len(s.ring) {
		return fmt.Errorf("arm SRQ %d at %d: %w", h, limit, driver.ErrInvalid)
	}
	s.limit = limit
	d.checkLimit(s)
	return nil
}

func (d *Device) checkLimit(s *sharedQueue) {
	if s.limit > 0 && s.len() < s.limit {
		s.limit = 0
		d.raise(driver.AsyncEvent{Type: driver.EventSRQLimit, SRQ: s.handle})
	}
}

func (d *Device) DestroySRQ(h driver.SRQ) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := d.srq(h)
	if err != nil || s.users > 0 {
		return fmt.Errorf("destroy SRQ %d: not there, or queue pairs use it: %w", h, driver.ErrInvalid)
	}
	delete(d.srqs, h)
	return nil
}

func (d *Device) PostSRQRecv(h driver.SRQ, wrs []driver.RecvWR) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := d.srq(h)
	n := 0
	if err == nil {
		n, err = s.put(wrs, s.maxSGE)
	}
	if err != nil {
		return n, fmt.Errorf("post receive %d: %w", n, err)
	}
	return n, nil
}

func (d *Device) PostRecv(h driver.QP, wrs []driver.RecvWR) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	q, err := d.qp(h)
	switch {
	case err != nil:
	case q.srq != nil || q.state == driver.QPReset:
		err = fmt.Errorf("in %v, or with an SRQ: %w", q.state, driver.ErrInvalid)
	default:
		n, err = q.rq.put(wrs, q.cap.MaxRecvSGE)
	}
	if q != nil && q.state == driver.QPError {
		q.flushRecvs()
	}
	if err != nil {
		return n, fmt.Errorf("post receive %d: %w", n, err)
	}
	return n, nil
}

// nextRecv takes the receive for an arriving message.
func (q *queuePair) nextRecv(w *recvWQE) bool {
	if q.srq == nil {
		return q.rq.get(w)
	}
	ok := q.srq.get(w)
	if ok {
		q.d.checkLimit(q.srq)
	}
	return ok
}

// flushRecvs ends the receives of a queue pair in the error state; a shared
// queue keeps its own.
func (q *queuePair) flushRecvs() {
	r := &q.resp
	if r.haveWR {
		r.haveWR = false
		q.recvDone(&r.wr, driver.WC{Status: driver.WCWRFlushErr})
	}
	if q.srq != nil {
		q.d.raise(driver.AsyncEvent{Type: driver.EventQPLastWQE, QP: driver.QP(q.num)})
		return
	}
	var w recvWQE
	for q.rq.get(&w) {
		q.recvDone(&w, driver.WC{Status: driver.WCWRFlushErr})
	}
}

// recvDone completes a receive.
func (q *queuePair) recvDone(w *recvWQE, wc driver.WC) {
	wc.ID, wc.QPNum = w.id, q.num
	if wc.Op == 0 {
		wc.Op = driver.WCRecv
	}
	q.d.push(q.recvCQ, wc, nil, q.resp.solicited)
}
