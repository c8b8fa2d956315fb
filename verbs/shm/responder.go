// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"time"

	"lazystate/verbs/driver"
)

// serve takes messages out of our ring. What stands there is another
// process's: each record is copied, then checked.
func (e *engine) serve() {
	if e.stopped || e.qp.State != driver.QPRTR && e.qp.State != driver.QPRTS {
		return
	}
	tail := e.tail
	head := u64(e.seg, segHead).Load()
	for e.tail != head && !e.stopped {
		r, payload, ok := e.record(head)
		if !ok {
			e.refuse(driver.WCRemOpErr)
			break
		}
		if r.Op == opSkip {
			e.tail += uint64(len(payload))
			continue
		}
		if !e.take(r, payload) {
			break
		}
		e.tail += recordSize + pad(r.Size)
	}
	if e.tail != tail {
		u64(e.seg, segTail).Store(e.tail)
		e.link.notify(e.peer)
	}
}

// record returns the record at the ring's tail and its payload; of opSkip all
// that is skipped. false: no peer of ours writes that.
func (e *engine) record(head uint64) (record, []byte, bool) {
	return nextRecord(e.seg[segRing:], e.tail, head)
}

func nextRecord(ring []byte, tail, head uint64) (record, []byte, bool) {
	avail := head - tail
	if head < tail || avail > ringSize || avail < recordSize {
		return record{}, nil, false
	}
	at := tail % ringSize
	var raw [recordSize]byte
	copy(raw[:], ring[at:])
	r := getRecord(raw[:])
	if r.Op == opSkip {
		return r, ring[at:], ringSize-at <= avail
	}
	n := recordSize + pad(r.Size)
	if r.Size > chunk || n > avail || n > ringSize-at || r.Total > maxMessage || r.Size > r.Total {
		return record{}, nil, false
	}
	return r, ring[at+recordSize:][:r.Size], true
}

// take takes one record; false: it stays, since there is no receive for it or
// the connection has ended.
func (e *engine) take(r record, payload []byte) bool {
	if (r.Flags&recFirst != 0) != (e.recv == nil) {
		return e.refuse(driver.WCRemOpErr)
	}
	if e.recv == nil && !e.begin(r) {
		return false
	}
	if uint64(r.Total) > e.recv.Len() && r.Op != uint8(driver.OpRDMAWriteWithImm) {
		return e.fail(driver.WCLocLenErr, driver.WCRemInvReqErr)
	}
	if e.got+uint64(len(payload)) > uint64(r.Total) {
		return e.refuse(driver.WCRemOpErr)
	}
	if len(payload) > 0 && !e.qp.Dev.Scatter(e.qp.PD, e.recv.SG, e.got, payload) {
		return e.fail(driver.WCLocProtErr, driver.WCRemOpErr)
	}
	e.got += uint64(len(payload))
	if r.Flags&recLast != 0 {
		e.accept(r)
	}
	return true
}

// begin takes a receive for a new message.
func (e *engine) begin(r record) bool {
	switch driver.Opcode(r.Op) {
	case driver.OpSend, driver.OpSendWithImm, driver.OpSendWithInv, driver.OpRDMAWriteWithImm:
	default:
		return e.refuse(driver.WCRemInvReqErr)
	}
	recv, ok := e.qp.TakeRecv()
	if !ok {
		e.starve(r)
		return false
	}
	e.recv, e.got, e.starving = &recv, 0, false
	stop(e.rnr)
	e.rnr = nil
	return true
}

// starve waits for a receive as long as the sender's retries would last.
func (e *engine) starve(r record) {
	if e.starving {
		return
	}
	e.starving = true
	e.dev.starves(e)
	if r.RNR >= 7 {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(driver.RNRTimer(e.qp.Attr.MinRNRTimer)*time.Duration(r.RNR), func() {
		e.qp.Lock()
		defer e.qp.Unlock()
		if e.seg == nil || e.rnr != t || e.stopped {
			return // of a message that has got its receive
		}
		if e.serve(); e.starving { // a receive may have come this moment
			e.stopped = true
			u32(e.seg, segStatus).Store(uint32(driver.WCRNRRetryExcErr))
			e.link.notify(e.peer)
		}
	})
	e.rnr = t
}

// accept completes the message that has come whole.
func (e *engine) accept(r record) {
	wc := driver.WC{ID: e.recv.ID, Op: driver.WCRecv, ByteLen: r.Total, Imm: r.Imm}
	switch driver.Opcode(r.Op) {
	case driver.OpSendWithImm:
		wc.Flags = driver.WCWithImm
	case driver.OpRDMAWriteWithImm:
		wc.Op, wc.Flags = driver.WCRecvRDMAWithImm, driver.WCWithImm
	case driver.OpSendWithInv:
		wc.Flags = driver.WCWithInv
		if !e.qp.Dev.Invalidate(e.qp, r.Imm) {
			e.fail(driver.WCMWBindErr, driver.WCRemOpErr)
			return
		}
	}
	e.recv = nil
	e.accepted++
	u64(e.seg, segAcked).Store(e.accepted)
	e.qp.EndRecv(wc, r.Flags&recSolicited != 0)
}

// fail completes the receive with an error, and the peer's send with another.
func (e *engine) fail(ours, theirs driver.WCStatus) bool {
	e.qp.EndRecv(driver.WC{ID: e.recv.ID, Status: ours, Op: driver.WCRecv}, true)
	e.recv = nil
	return e.refuse(theirs)
}

// refuse ends the connection with a status for the message at the ring's tail.
func (e *engine) refuse(status driver.WCStatus) bool {
	e.stopped = true
	u32(e.seg, segStatus).Store(uint32(status))
	e.qp.Fail()
	return false
}
