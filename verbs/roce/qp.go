// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"fmt"
	"maps"

	"lazystate/internal/seqnum"
	"lazystate/verbs/driver"
	"lazystate/verbs/roce/wire"
)

// queuePair is one end of a connection, or of the datagram service.
type queuePair struct {
	d              *Device
	num            uint32
	typ            driver.QPType
	pd             driver.PD
	sendCQ, recvCQ *completionQueue
	srq            *sharedQueue // nil: rq
	cap            driver.QPCap
	sigAll         bool

	state driver.QPState
	attr  driver.QPAttr
	path  path
	mtu   int

	req  requester
	resp responder
	rq   recvQueue

	queued bool // in Device.runnable
	gone   bool // destroyed
	conn   *conn
}

func (d *Device) CreateQP(pd driver.PD, a *driver.QPInitAttr) (driver.QPInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	q, err := d.newQP(pd, a)
	if err != nil {
		return driver.QPInfo{}, fmt.Errorf("create QP: %w", err)
	}
	for {
		q.num = random32() & 0xffffff
		if q.num > wire.GSIQPN && q.num != 0xffffff && d.qps[q.num] == nil {
			break
		}
	}
	d.qps[q.num] = q
	q.sendCQ.users++
	q.recvCQ.users++
	if q.srq != nil {
		q.srq.users++
	}
	return driver.QPInfo{QP: driver.QP(q.num), Num: q.num, Cap: q.cap}, nil
}

func (d *Device) newQP(pd driver.PD, a *driver.QPInitAttr) (*queuePair, error) {
	_, known := d.pds[pd]
	q := &queuePair{d: d, typ: a.Type, pd: pd, sendCQ: d.cqs[a.SendCQ], recvCQ: d.cqs[a.RecvCQ], srq: d.srqs[a.SRQ], sigAll: a.SigAll, cap: a.Cap}
	c := &q.cap
	switch {
	case d.closed:
		return nil, driver.ErrClosed
	case !known || q.sendCQ == nil || q.recvCQ == nil || a.SRQ != 0 && q.srq == nil:
		return nil, fmt.Errorf("PD %d, CQs %d and %d, SRQ %d: one is not there: %w", pd, a.SendCQ, a.RecvCQ, a.SRQ, driver.ErrInvalid)
	case a.Type != driver.RC && a.Type != driver.UD:
		return nil, fmt.Errorf("type %d: RC or UD: %w", a.Type, driver.ErrInvalid)
	case c.MaxSendWR < 0 || c.MaxSendWR > maxQPWR || c.MaxRecvWR < 0 || c.MaxRecvWR > maxQPWR ||
		c.MaxSendSGE < 0 || c.MaxSendSGE > maxSGE || c.MaxRecvSGE < 0 || c.MaxRecvSGE > maxSGE || c.MaxInline < 0 || c.MaxInline > maxInline:
		return nil, fmt.Errorf("capabilities %+v: at most %d requests, %d pieces, %d inline: %w", *c, maxQPWR, maxSGE, maxInline, driver.ErrInvalid)
	case len(d.qps) >= maxQP:
		return nil, fmt.Errorf("%d queue pairs are there already: %w", maxQP, driver.ErrQueueFull)
	}
	q.req.init(max(1, c.MaxSendWR))
	q.rq.init(max(1, c.MaxRecvWR))
	q.attr.Port = 1
	return q, nil
}

func (d *Device) qp(h driver.QP) (*queuePair, error) {
	if q := d.qps[uint32(h)]; q != nil {
		return q, nil
	}
	return nil, fmt.Errorf("no QP %d: %w", h, driver.ErrInvalid)
}

func (d *Device) QueryQP(h driver.QP) (driver.QPAttr, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	q, err := d.qp(h)
	if err != nil {
		return driver.QPAttr{}, fmt.Errorf("query QP: %w", err)
	}
	a := q.attr
	a.State, a.RQPSN, a.SQPSN = q.state, uint32(q.resp.epsn), uint32(q.req.psn)
	return a, nil
}

// DestroyQP drops the completions of the queue pair that were not polled.
func (d *Device) DestroyQP(h driver.QP) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	q, err := d.qp(h)
	if err != nil {
		return fmt.Errorf("destroy QP: %w", err)
	}
	d.tx.flush()
	q.gone, q.state = true, driver.QPReset
	q.forgetReads()
	q.resp = responder{listed: q.resp.listed} // it may be among those that have a turn
	for k, r := range maps.All(d.keys) {
		if r.window != nil && r.window.qp == q.num {
			r.window.unbind(d)
			delete(d.keys, k)
		}
	}
	q.sendCQ.drop(q.num)
	q.recvCQ.drop(q.num)
	q.sendCQ.users--
	q.recvCQ.users--
	if q.srq != nil {
		q.srq.users--
	}
	delete(d.qps, q.num)
	return nil
}

// ModifyQP moves a queue pair along RESET, INIT, RTR, RTS, and into the error
// state from anywhere.
func (d *Device) ModifyQP(h driver.QP, a *driver.QPAttr, mask driver.QPMask) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	q, err := d.qp(h)
	if err == nil {
		err = q.modify(a, mask)
	}
	d.tx.flush()
	if err != nil {
		return fmt.Errorf("modify QP %d: %w", h, err)
	}
	return nil
}

// moves are the transitions that a caller may ask for, save those to RESET and ERR.
// SQD is not offered: no device in software here has it.
var moves = map[driver.QPState][]driver.QPState{
	driver.QPInit: {driver.QPReset, driver.QPInit},
	driver.QPRTR:  {driver.QPInit},
	driver.QPRTS:  {driver.QPRTR, driver.QPRTS, driver.QPSQE},
}

func (q *queuePair) mayMove(to driver.QPState) bool {
	if to == driver.QPReset || to == driver.QPError {
		return true
	}
	for _, from := range moves[to] {
		if from == q.state {
			return true
		}
	}
	return false
}

func (q *queuePair) modify(a *driver.QPAttr, mask driver.QPMask) error {
	to := q.state
	if mask&driver.QPMaskState != 0 {
		to = a.State
	}
	switch {
	case to > driver.QPError || to == driver.QPSQE || !q.mayMove(to):
		return fmt.Errorf("from %v to %v: %w", q.state, to, driver.ErrInvalid)
	case mask&driver.QPMaskPathMTU != 0 && (a.PathMTU.Bytes() == 0 || a.PathMTU > q.d.mtu):
		return fmt.Errorf("path MTU %d, the port has %d: %w", a.PathMTU.Bytes(), q.d.mtu.Bytes(), driver.ErrInvalid)
	case mask&driver.QPMaskMaxDestRdAtomic != 0 && a.MaxDestRdAtomic > maxRdAtomic || mask&driver.QPMaskMaxRdAtomic != 0 && a.MaxRdAtomic > maxRdAtomic:
		return fmt.Errorf("more than %d READs and atomics: %w", maxRdAtomic, driver.ErrInvalid)
	}
	if mask&driver.QPMaskAV != 0 {
		p, err := q.d.newPath(a.AV.DGID.Addr())
		if err != nil {
			return fmt.Errorf("path: %w: %w", err, driver.ErrInvalid)
		}
		q.path = p
	}
	q.take(a, mask)
	return q.enter(to)
}

// take copies the attributes that mask names.
func (q *queuePair) take(a *driver.QPAttr, mask driver.QPMask) {
	for _, f := range []struct {
		bit  driver.QPMask
		copy func()
	}{
		{driver.QPMaskAccess, func() { q.attr.Access = a.Access }},
		{driver.QPMaskPKeyIndex, func() { q.attr.PKeyIndex = a.PKeyIndex }},
		{driver.QPMaskPort, func() { q.attr.Port = a.Port }},
		{driver.QPMaskQKey, func() { q.attr.QKey = a.QKey }},
		{driver.QPMaskAV, func() { q.attr.AV = a.AV }},
		{driver.QPMaskPathMTU, func() { q.attr.PathMTU, q.mtu = a.PathMTU, a.PathMTU.Bytes() }},
		{driver.QPMaskTimeout, func() { q.attr.Timeout = a.Timeout & 31 }},
		{driver.QPMaskRetry, func() { q.attr.RetryCount = a.RetryCount & 7 }},
		{driver.QPMaskRNRRetry, func() { q.attr.RNRRetry = a.RNRRetry & 7 }},
		{driver.QPMaskRQPSN, func() { q.resp.epsn = seqnum.NewPSN(a.RQPSN) }},
		{driver.QPMaskSQPSN, func() { q.req.start(seqnum.NewPSN(a.SQPSN)) }},
		{driver.QPMaskMaxRdAtomic, func() { q.attr.MaxRdAtomic = a.MaxRdAtomic }},
		{driver.QPMaskMaxDestRdAtomic, func() { q.attr.MaxDestRdAtomic = a.MaxDestRdAtomic }},
		{driver.QPMaskMinRNRTimer, func() { q.attr.MinRNRTimer = a.MinRNRTimer & 31 }},
		{driver.QPMaskDestQPN, func() { q.attr.DestQPN = a.DestQPN & 0xffffff }},
	} {
		if mask&f.bit != 0 {
			f.copy()
		}
	}
}

// enter makes to the state.
func (q *queuePair) enter(to driver.QPState) error {
	switch {
	case to == driver.QPRTR && q.typ == driver.RC && (q.mtu == 0 || !q.path.peer.IsValid() || q.attr.DestQPN == 0):
		return fmt.Errorf("to RTR without path MTU, address or number of the peer: %w", driver.ErrInvalid)
	case to == driver.QPError:
		q.fatal()
		return nil
	case to == driver.QPReset:
		q.reset()
		return nil
	}
	q.state = to
	if to == driver.QPRTS {
		q.d.run(q)
		if q.pump(q.d.now(), turnBudget) {
			q.d.kick()
		}
	}
	return nil
}

// reset empties the queues without completions, as RESET asks for.
func (q *queuePair) reset() {
	q.forgetReads()
	q.sendCQ.drop(q.num)
	q.recvCQ.drop(q.num)
	q.req.init(len(q.req.ring))
	q.rq.init(len(q.rq.ring))
	q.resp = responder{listed: q.resp.listed}
	q.attr = driver.QPAttr{Port: 1}
	q.path, q.mtu = path{}, 0
	q.state = driver.QPReset
}

// fatal ends the queue pair: everything outstanding is flushed.
func (q *queuePair) fatal() {
	if q.state == driver.QPError || q.state == driver.QPReset {
		q.state = driver.QPError
		return
	}
	q.state = driver.QPError
	if !q.resp.ended { // else the answers before what was refused
		q.resp.jobs = nil
	}
	q.flushSends()
	q.flushRecvs()
}
