// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"bytes"
	"unsafe"

	"lazystate/verbs/driver"
	"lazystate/verbs/internal/soft"
)

// receive takes a message from the network.
func (d *Device) receive(m *message) {
	qp := d.ByNum(m.qp)
	if qp == nil {
		return
	}
	qp.Lock()
	defer qp.Unlock()
	if qp.X == nil || m.from != qp.Attr.AV.DGID || m.src != qp.Attr.DestQPN {
		return
	}
	e := engineOf(qp)
	switch {
	case m.kind != request && qp.State == driver.QPRTS:
		e.answered(m)
	case m.kind == request && (qp.State == driver.QPRTS || qp.State == driver.QPRTR):
		e.requested(m)
	}
}

func (e *engine) requested(m *message) {
	switch n := m.psn.Diff(e.expected); {
	case n < 0:
		e.again(m)
	case n > 0:
		if !e.nakked {
			e.nakked = true
			e.send(&message{kind: nakSeq, psn: e.expected})
		}
	default:
		e.nakked = false
		e.execute(m)
	}
}

// again answers a request that was executed before: reads read again, atomics
// tell what they found then.
func (e *engine) again(m *message) {
	switch m.op {
	case driver.OpRDMARead:
		if data, status := e.fetch(m); status == driver.WCSuccess { // else it had its answer before the memory went
			e.respond(m, data)
		}
	case driver.OpAtomicCmpAndSwp, driver.OpAtomicFetchAndAdd:
		for _, r := range e.replay {
			if r.psn == m.psn {
				e.respond(m, soft.Word(r.old))
			}
		}
	default:
		e.send(&message{kind: ack, psn: e.expected.Add(-1)})
	}
}

func (e *engine) execute(m *message) {
	done := false
	switch m.op {
	case driver.OpSend, driver.OpSendWithImm, driver.OpSendWithInv:
		done = e.receiveSend(m)
	case driver.OpRDMAWrite, driver.OpRDMAWriteWithImm:
		done = e.write(m)
	case driver.OpRDMARead:
		done = e.read(m)
	default:
		done = e.atomic(m)
	}
	if !done {
		return
	}
	e.expected = e.expected.Add(1)
	if !rdAtomic(m.op) {
		e.send(&message{kind: ack, psn: m.psn})
	}
}

func (e *engine) respond(m *message, data []byte) {
	e.send(&message{kind: response, psn: m.psn, data: data})
}

// refuse ends the connection: the peer is told status, what is posted flushed.
func (e *engine) refuse(m *message, status driver.WCStatus) bool {
	e.send(&message{kind: nakError, psn: m.psn, status: status})
	if status == driver.WCRemAccessErr {
		e.dev.Raise(driver.AsyncEvent{Type: driver.EventQPAccessErr, QP: e.qp.Handle})
	}
	e.qp.Fail()
	return false
}

// need takes a receive for m; none makes the peer wait.
func (e *engine) need(m *message) (soft.Recv, bool) {
	r, ok := e.qp.TakeRecv()
	if !ok {
		e.nakked = true // what comes behind m is out of order, and the peer knows
		e.send(&message{kind: nakRNR, psn: m.psn, timer: e.qp.Attr.MinRNRTimer})
	}
	return r, ok
}

func (e *engine) receiveSend(m *message) bool {
	r, ok := e.need(m)
	if !ok {
		return false
	}
	wc := driver.WC{ID: r.ID, Op: driver.WCRecv, ByteLen: uint32(len(m.data)), Imm: m.imm}
	switch m.op {
	case driver.OpSendWithImm:
		wc.Flags = driver.WCWithImm
	case driver.OpSendWithInv:
		wc.Flags = driver.WCWithInv
	}
	answer := driver.WCSuccess
	switch {
	case uint64(len(m.data)) > r.Len():
		wc.Status, answer = driver.WCLocLenErr, driver.WCRemInvReqErr
	case !e.qp.Dev.Scatter(e.qp.PD, r.SG, 0, m.data):
		wc.Status, answer = driver.WCLocProtErr, driver.WCRemOpErr
	case m.op == driver.OpSendWithInv && !e.qp.Dev.Invalidate(e.qp, m.imm):
		wc.Status, answer = driver.WCMWBindErr, driver.WCRemOpErr
	}
	e.qp.EndRecv(wc, m.solicited)
	if answer != driver.WCSuccess {
		return e.refuse(m, answer)
	}
	return true
}

func (e *engine) write(m *message) bool {
	var r soft.Recv
	if m.op == driver.OpRDMAWriteWithImm {
		var ok bool
		if r, ok = e.need(m); !ok {
			return false
		}
	}
	status := e.remote(m, uint64(len(m.data)), driver.AccessRemoteWrite, func(b []byte) { copy(b, m.data) })
	if status != driver.WCSuccess {
		return e.refuse(m, status)
	}
	if m.op == driver.OpRDMAWriteWithImm {
		wc := driver.WC{ID: r.ID, Op: driver.WCRecvRDMAWithImm, ByteLen: uint32(len(m.data)), Flags: driver.WCWithImm, Imm: m.imm}
		e.qp.EndRecv(wc, m.solicited)
	}
	return true
}

// fetch reads what a READ asks for.
func (e *engine) fetch(m *message) (data []byte, status driver.WCStatus) {
	status = e.remote(m, m.length, driver.AccessRemoteRead, func(b []byte) { data = bytes.Clone(b) })
	return data, status
}

func (e *engine) read(m *message) bool {
	data, status := e.fetch(m)
	if status != driver.WCSuccess {
		return e.refuse(m, status)
	}
	e.respond(m, data)
	return true
}

// remote calls f with what the peer may reach. Of no bytes the key is not
// looked at (C9-88); what the queue pair does not do at all is no valid request.
func (e *engine) remote(m *message, n uint64, need driver.Access, f func([]byte)) driver.WCStatus {
	switch {
	case e.qp.Attr.Access&need == 0:
		return driver.WCRemInvReqErr
	case n != 0 && !e.qp.Dev.Remote(e.qp, m.rkey, m.addr, n, need, f):
		return driver.WCRemAccessErr
	}
	return driver.WCSuccess
}

func (e *engine) atomic(m *message) bool {
	if m.addr%8 != 0 {
		return e.refuse(m, driver.WCRemInvReqErr)
	}
	var old uint64
	status := e.remote(m, 8, driver.AccessRemoteAtomic, func(b []byte) {
		old = soft.Atomic(m.op, (*uint64)(unsafe.Pointer(unsafe.SliceData(b))), m.compare, m.swap)
	})
	if status != driver.WCSuccess {
		return e.refuse(m, status)
	}
	if len(e.replay) == maxRdAtomic {
		e.replay = e.replay[1:] // the peer has no more on their way
	}
	e.replay = append(e.replay, replay{m.psn, old})
	e.respond(m, soft.Word(old))
	return true
}
