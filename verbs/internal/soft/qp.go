// SPDX-License-Identifier: Apache-2.0

package soft

import (
	"fmt"
	"sync"
	"sync/atomic"

	"lazystate/verbs/driver"
)

// Send is a posted request, until it has completed.
type Send struct {
	driver.SendWR
	Length   uint64
	Signaled bool

	Seq    uint32 // the carrier's number of it
	Sent   bool   // the carrier's: it was executed or is on its way
	Done   bool   // ended, and waits for those before it
	Status driver.WCStatus
}

// QP is a queue pair. Its fields are under its lock, which a carrier takes
// when it acts by itself.
type QP struct {
	sync.Mutex
	Dev    *Device
	Handle driver.QP
	Num    uint32
	PD     driver.PD
	State  driver.QPState
	Attr   driver.QPAttr
	Cap    driver.QPCap
	Sends  []*Send // in order; the first is the oldest
	X      any     // the carrier's own

	typ            driver.QPType
	pd             *pd
	sendCQ, recvCQ *CQ
	srq            *SRQ
	recvs          recvQueue
	sigAll         bool
	idle           []*Send      // completed, to be used again
	queue          []*Send      // the array of Sends, from its beginning
	used           atomic.Int32 // slots of the send queue that are not free
	quiet          int          // unsignaled ones that have ended
}

// CreateQP makes a queue pair in RESET.
func (d *Device) CreateQP(h driver.PD, a *driver.QPInitAttr) (driver.QPInfo, error) {
	if a.Type != driver.RC {
		return driver.QPInfo{}, driver.ErrNotSupported
	}
	if err := d.checkCap(a.Cap); err != nil {
		return driver.QPInfo{}, err
	}
	qp := &QP{Dev: d, PD: h, Cap: a.Cap, typ: a.Type, sigAll: a.SigAll}
	var err error
	if qp.pd, err = d.pds.get(h); err != nil {
		return driver.QPInfo{}, err
	}
	if qp.sendCQ, err = d.cqs.get(a.SendCQ); err != nil {
		return driver.QPInfo{}, err
	}
	if qp.recvCQ, err = d.cqs.get(a.RecvCQ); err != nil {
		return driver.QPInfo{}, err
	}
	if a.SRQ != 0 {
		if qp.srq, err = d.srqs.get(a.SRQ); err != nil {
			return driver.QPInfo{}, err
		}
	}
	qp.recvs.max, qp.recvs.maxSGE = a.Cap.MaxRecvWR, a.Cap.MaxRecvSGE
	qp.users(1)
	qp.Handle = d.qps.add(qp)
	d.number(qp)
	return driver.QPInfo{QP: qp.Handle, Num: qp.Num, Cap: qp.Cap}, nil
}

func (d *Device) checkCap(c driver.QPCap) error {
	a := &d.attr
	if c.MaxSendWR < 0 || c.MaxSendWR > a.MaxQPWR || c.MaxRecvWR < 0 || c.MaxRecvWR > a.MaxQPWR ||
		c.MaxSendSGE > a.MaxSGE || c.MaxRecvSGE > a.MaxSGE || c.MaxInline > a.MaxInline {
		return fmt.Errorf("queue pair of %+v: %w", c, driver.ErrInvalid)
	}
	return nil
}

func (qp *QP) users(n int) {
	qp.pd.use(n)
	for _, cq := range []*CQ{qp.sendCQ, qp.recvCQ} {
		if n > 0 {
			cq.mu.Lock()
			cq.users++
			cq.mu.Unlock()
		} else {
			cq.drop(qp)
		}
	}
	if qp.srq != nil {
		qp.srq.mu.Lock()
		qp.srq.users += n
		qp.srq.mu.Unlock()
	}
}

func (d *Device) number(qp *QP) {
	d.nums.Lock()
	defer d.nums.Unlock()
	for qp.Num == 0 {
		d.nums.next = (d.nums.next + 1) & 0xffffff
		if d.nums.next > 1 && d.nums.used[d.nums.next] == nil {
			qp.Num = d.nums.next
		}
	}
	d.nums.used[qp.Num] = qp
}

// ByNum returns the queue pair of that number; nil if there is none.
func (d *Device) ByNum(num uint32) *QP {
	d.nums.Lock()
	defer d.nums.Unlock()
	return d.nums.used[num]
}

// CQs returns the completion queues, each once.
func (qp *QP) CQs() []driver.CQ {
	if qp.sendCQ == qp.recvCQ {
		return []driver.CQ{qp.sendCQ.handle}
	}
	return []driver.CQ{qp.sendCQ.handle, qp.recvCQ.handle}
}

// ByHandle returns the queue pair of that handle.
func (d *Device) ByHandle(h driver.QP) (*QP, error) { return d.qps.get(h) }

// DestroyQP ends a queue pair and what it has not completed.
func (d *Device) DestroyQP(h driver.QP) error {
	qp, err := d.qps.get(h)
	if err != nil {
		return err
	}
	d.nums.Lock()
	delete(d.nums.used, qp.Num)
	d.nums.Unlock()
	d.qps.remove(h)
	qp.Lock()
	defer qp.Unlock()
	qp.State, qp.Sends = driver.QPReset, nil
	d.carrier.Destroyed(qp)
	qp.users(-1)
	return nil
}

// QueryQP returns state and attributes.
func (d *Device) QueryQP(h driver.QP) (driver.QPAttr, error) {
	qp, err := d.qps.get(h)
	if err != nil {
		return driver.QPAttr{}, err
	}
	qp.Lock()
	defer qp.Unlock()
	a := qp.Attr
	a.State = qp.State
	return a, nil
}

// PostSend posts requests.
func (d *Device) PostSend(h driver.QP, wrs []driver.SendWR) (int, error) {
	qp, err := d.qps.get(h)
	if err != nil {
		return 0, err
	}
	qp.Lock()
	defer qp.Unlock()
	if qp.State != driver.QPRTS && qp.State != driver.QPError {
		return 0, fmt.Errorf("in %v: %w", qp.State, driver.ErrInvalid)
	}
	n := 0
	for ; n < len(wrs); n++ {
		s, e := qp.take(&wrs[n])
		if e != nil {
			err = e
			break
		}
		if qp.Sends = append(qp.Sends, s); len(qp.Sends) == 1 {
			qp.queue = qp.Sends
		}
	}
	if qp.State == driver.QPError {
		qp.flushSends()
	} else if n > 0 {
		d.carrier.Posted(qp)
	}
	return n, err
}

// take copies a request into the queue.
func (qp *QP) take(wr *driver.SendWR) (*Send, error) {
	if len(wr.SG) > qp.Cap.MaxSendSGE {
		return nil, fmt.Errorf("%d pieces, at most %d: %w", len(wr.SG), qp.Cap.MaxSendSGE, driver.ErrInvalid)
	}
	if wr.Op > driver.OpSendWithInv {
		return nil, fmt.Errorf("%v: %w", wr.Op, driver.ErrInvalid)
	}
	inline := wr.Flags&driver.SendInline != 0
	if inline && (len(wr.Inline) > qp.Cap.MaxInline || len(wr.SG) > 0 || !carriesPayload(wr.Op)) {
		return nil, fmt.Errorf("%v of %d bytes inline, at most %d: %w", wr.Op, len(wr.Inline), qp.Cap.MaxInline, driver.ErrInvalid)
	}
	if int(qp.used.Load()) >= qp.Cap.MaxSendWR {
		return nil, driver.ErrQueueFull
	}
	qp.used.Add(1)
	s := qp.unused()
	sg, payload := s.SG[:0], s.Inline[:0]
	*s = Send{SendWR: *wr, Signaled: qp.sigAll || wr.Flags&driver.SendSignaled != 0, Length: total(wr.SG)}
	s.SG, s.Inline = append(sg, wr.SG...), payload
	if inline {
		s.Inline, s.Length = append(payload, wr.Inline...), uint64(len(wr.Inline))
	}
	if wr.Bind != nil {
		b := *wr.Bind
		s.Bind = &b
	}
	return s, nil
}

// unused returns a request that has completed before, or a new one.
func (qp *QP) unused() *Send {
	n := len(qp.idle)
	if n == 0 {
		return &Send{}
	}
	s := qp.idle[n-1]
	qp.idle = qp.idle[:n-1]
	return s
}

func carriesPayload(op driver.Opcode) bool {
	switch op {
	case driver.OpRDMAWrite, driver.OpRDMAWriteWithImm, driver.OpSend, driver.OpSendWithImm, driver.OpSendWithInv:
		return true
	}
	return false
}

// PostRecv posts receives.
func (d *Device) PostRecv(h driver.QP, wrs []driver.RecvWR) (int, error) {
	qp, err := d.qps.get(h)
	if err != nil {
		return 0, err
	}
	qp.Lock()
	defer qp.Unlock()
	if qp.State == driver.QPReset || qp.srq != nil {
		return 0, fmt.Errorf("in %v (shared receive queue: %v): %w", qp.State, qp.srq != nil, driver.ErrInvalid)
	}
	n, err := qp.recvs.post(wrs)
	if qp.State == driver.QPError {
		qp.flushRecvs()
	}
	return n, err
}

// TakeRecv takes the oldest receive; false if there is none.
func (qp *QP) TakeRecv() (Recv, bool) {
	if qp.srq == nil {
		r, _, ok := qp.recvs.take()
		return r, ok
	}
	r, left, ok := qp.srq.take()
	if ok {
		qp.srq.taken(qp.Dev, left)
	}
	return r, ok
}

// Here executes what needs no peer: binding and invalidating windows; false if
// s is none of that.
func (qp *QP) Here(s *Send) (driver.WCStatus, bool) {
	ok := false
	switch s.Op {
	case driver.OpBindMW:
		ok = qp.Dev.bind(qp, s.Bind)
	case driver.OpLocalInv:
		ok = qp.Dev.Invalidate(qp, s.Imm)
	default:
		return driver.WCSuccess, false
	}
	if !ok {
		return driver.WCMWBindErr, true
	}
	return driver.WCSuccess, true
}
