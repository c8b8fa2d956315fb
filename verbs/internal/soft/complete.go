// SPDX-License-Identifier: Apache-2.0

package soft

import (
	"fmt"

	"lazystate/verbs/driver"
)

var wcOpcodes = [...]driver.WCOpcode{
	driver.OpRDMAWrite: driver.WCRDMAWrite, driver.OpRDMAWriteWithImm: driver.WCRDMAWrite,
	driver.OpSend: driver.WCSend, driver.OpSendWithImm: driver.WCSend, driver.OpSendWithInv: driver.WCSend,
	driver.OpRDMARead: driver.WCRDMARead, driver.OpAtomicCmpAndSwp: driver.WCCompSwap,
	driver.OpAtomicFetchAndAdd: driver.WCFetchAdd, driver.OpLocalInv: driver.WCLocalInv, driver.OpBindMW: driver.WCBindMW,
}

// EndSend ends a request. It completes when those before it have; with a
// status other than success everything behind it is flushed.
func (qp *QP) EndSend(s *Send, status driver.WCStatus) {
	s.Done, s.Status = true, status
	qp.completeSends()
}

func (qp *QP) completeSends() {
	for len(qp.Sends) > 0 && qp.Sends[0].Done {
		s := qp.Sends[0]
		qp.Sends = qp.Sends[1:]
		qp.completeSend(s)
		if s.Status != driver.WCSuccess {
			qp.Fail()
			return
		}
		qp.idle = append(qp.idle, s)
	}
	if len(qp.Sends) == 0 {
		qp.Sends = qp.queue[:0] // from its beginning again
	}
}

func (qp *QP) completeSend(s *Send) {
	if !s.Signaled && s.Status == driver.WCSuccess {
		qp.quiet++
		return
	}
	wc := driver.WC{ID: s.ID, Status: s.Status, Op: wcOpcodes[s.Op], ByteLen: uint32(s.Length), QPNum: qp.Num}
	e := entry{wc: wc, qp: qp, slots: qp.quiet + 1}
	qp.quiet = 0
	if !qp.sendCQ.push(e, false) {
		qp.overran()
	}
}

// EndRecv completes a receive. solicited: the peer asked that it wakes.
func (qp *QP) EndRecv(wc driver.WC, solicited bool) {
	wc.QPNum = qp.Num
	if !qp.recvCQ.push(entry{wc: wc, qp: qp}, solicited) {
		qp.overran()
	}
}

func (qp *QP) overran() {
	if qp.State != driver.QPError {
		qp.Dev.Raise(driver.AsyncEvent{Type: driver.EventQPFatal, QP: qp.Handle})
		qp.Fail()
	}
}

// Fail moves the queue pair to the error state and flushes.
func (qp *QP) Fail() {
	from := qp.State
	if from == driver.QPReset {
		return
	}
	qp.State = driver.QPError
	qp.flushSends()
	if from != driver.QPError {
		qp.Dev.carrier.Modified(qp, from) // it may have a receive in hand, the oldest
	}
	qp.flushRecvs()
	if from != driver.QPError && qp.srq != nil {
		qp.Dev.Raise(driver.AsyncEvent{Type: driver.EventQPLastWQE, QP: qp.Handle})
	}
}

func (qp *QP) flushSends() {
	sends := qp.Sends
	qp.Sends = nil
	for _, s := range sends {
		s.Done, s.Signaled, s.Status = true, true, driver.WCWRFlushErr
		qp.completeSend(s)
	}
}

func (qp *QP) flushRecvs() {
	for {
		r, _, ok := qp.recvs.take()
		if !ok {
			return
		}
		qp.EndRecv(driver.WC{ID: r.ID, Status: driver.WCWRFlushErr, Op: driver.WCRecv}, false)
	}
}

// ModifyQP moves a queue pair along its states.
func (d *Device) ModifyQP(h driver.QP, a *driver.QPAttr, mask driver.QPMask) error {
	qp, err := d.qps.get(h)
	if err != nil {
		return err
	}
	qp.Lock()
	defer qp.Unlock()
	return qp.Modify(a, mask)
}

// needed are the attributes that a move must bring (IB volume 1 table 91).
var needed = map[driver.QPState]driver.QPMask{
	driver.QPInit: driver.QPMaskPKeyIndex | driver.QPMaskPort | driver.QPMaskAccess,
	driver.QPRTR: driver.QPMaskAV | driver.QPMaskPathMTU | driver.QPMaskDestQPN | driver.QPMaskRQPSN |
		driver.QPMaskMaxDestRdAtomic | driver.QPMaskMinRNRTimer,
	driver.QPRTS: driver.QPMaskSQPSN | driver.QPMaskTimeout | driver.QPMaskRetry | driver.QPMaskRNRRetry | driver.QPMaskMaxRdAtomic,
}

// Modify is ModifyQP of a queue pair that is locked.
func (qp *QP) Modify(a *driver.QPAttr, mask driver.QPMask) error {
	if mask&driver.QPMaskState == 0 {
		qp.merge(a, mask)
		return qp.Dev.carrier.Modified(qp, qp.State)
	}
	from, to := qp.State, a.State
	if !follows(from, to) {
		return fmt.Errorf("from %v to %v: %w", from, to, driver.ErrInvalid)
	}
	if from != to && mask&needed[to] != needed[to] {
		return fmt.Errorf("from %v to %v without attributes %#x: %w", from, to, uint32(needed[to]&^mask), driver.ErrInvalid)
	}
	if to == driver.QPError {
		qp.Fail()
		return nil
	}
	was := qp.Attr
	qp.merge(a, mask)
	qp.State = to
	if to == driver.QPReset {
		qp.reset()
	}
	if err := qp.Dev.carrier.Modified(qp, from); err != nil {
		qp.State, qp.Attr = from, was
		return err
	}
	return nil
}

func follows(from, to driver.QPState) bool {
	switch to {
	case driver.QPReset:
		return true
	case driver.QPInit:
		return from == driver.QPReset || from == driver.QPInit
	case driver.QPRTR:
		return from == driver.QPInit
	case driver.QPRTS:
		return from == driver.QPRTR || from == driver.QPRTS
	case driver.QPError:
		return from != driver.QPReset
	}
	return false
}

func (qp *QP) reset() {
	qp.Sends, qp.quiet = nil, 0
	qp.used.Store(0)
	qp.recvs.mu.Lock()
	qp.recvs.wqes = nil
	qp.recvs.mu.Unlock()
	for _, cq := range []*CQ{qp.sendCQ, qp.recvCQ} {
		cq.drop(qp)
		cq.mu.Lock()
		cq.users++
		cq.mu.Unlock()
	}
}

func (qp *QP) merge(a *driver.QPAttr, mask driver.QPMask) {
	set := func(m driver.QPMask, f func()) {
		if mask&m != 0 {
			f()
		}
	}
	q := &qp.Attr
	set(driver.QPMaskAccess, func() { q.Access = a.Access })
	set(driver.QPMaskPKeyIndex, func() { q.PKeyIndex = a.PKeyIndex })
	set(driver.QPMaskPort, func() { q.Port = a.Port })
	set(driver.QPMaskQKey, func() { q.QKey = a.QKey })
	set(driver.QPMaskAV, func() { q.AV = a.AV })
	set(driver.QPMaskPathMTU, func() { q.PathMTU = a.PathMTU })
	set(driver.QPMaskTimeout, func() { q.Timeout = a.Timeout })
	set(driver.QPMaskRetry, func() { q.RetryCount = a.RetryCount })
	set(driver.QPMaskRNRRetry, func() { q.RNRRetry = a.RNRRetry })
	set(driver.QPMaskRQPSN, func() { q.RQPSN = a.RQPSN })
	set(driver.QPMaskMaxRdAtomic, func() { q.MaxRdAtomic = a.MaxRdAtomic })
	set(driver.QPMaskMinRNRTimer, func() { q.MinRNRTimer = a.MinRNRTimer })
	set(driver.QPMaskSQPSN, func() { q.SQPSN = a.SQPSN })
	set(driver.QPMaskMaxDestRdAtomic, func() { q.MaxDestRdAtomic = a.MaxDestRdAtomic })
	set(driver.QPMaskDestQPN, func() { q.DestQPN = a.DestQPN })
}
