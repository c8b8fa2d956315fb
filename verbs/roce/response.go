// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"encoding/binary"

	"lazystate/internal/seqnum"
	"lazystate/verbs/driver"
	"lazystate/verbs/roce/wire"
)

// response takes what the peer's responder sent: an acknowledgement, a part of a
// READ's answer, an atomic's answer.
func (q *queuePair) response(p *wire.Packet, now int64) {
	r := &q.req
	if q.state != driver.QPRTS {
		return
	}
	if p.PSN.Less(r.una) || !p.PSN.Less(r.nxt) {
		q.d.count.DuplicateResponses++
		return
	}
	q.d.count.RecvPackets++
	switch {
	case p.Opcode.Is(wire.PropAETH) && p.AETH.Syndrome.IsNak():
		q.nak(p, now)
	case p.Opcode.Is(wire.PropAETH) && p.AETH.Syndrome.IsRNR():
		q.notReady(p, now)
	case p.Opcode == wire.OpAcknowledge:
		q.acked(p.PSN.Add(1), now)
	case !q.acked(p.PSN, now):
	case p.Opcode == wire.OpAtomicAcknowledge:
		q.atomicAnswer(p, now)
	default:
		q.readAnswer(p, now)
	}
	if q.state == driver.QPRTS && !q.queued && r.cur != r.tail {
		q.d.run(q)
	}
}

// acked takes all packets before psn as arrived, and goes back to what was not
// answered among them. False: there was such, or the connection ended.
func (q *queuePair) acked(psn seqnum.PSN, now int64) bool {
	before := q.req.una
	ok := q.ackTo(psn)
	if q.req.una != before {
		q.progress(now)
	}
	if !ok {
		q.d.count.ImpliedNaks++
		q.goBack(now)
	}
	return ok && q.state == driver.QPRTS
}

// readAnswer takes packet una of a READ's answer.
func (q *queuePair) readAnswer(p *wire.Packet, now int64) {
	r := &q.req
	w := q.oldest()
	if w == nil || w.op != driver.OpRDMARead || r.una != p.PSN {
		q.failOldest(driver.WCBadRespErr)
		return
	}
	i := p.PSN.Diff(w.first)
	off := i * q.mtu
	if len(p.Payload) != min(q.mtu, w.length-off) {
		q.failOldest(driver.WCBadRespErr)
		return
	}
	if status := q.move(w.sg, off, p.Payload, true); status != driver.WCSuccess {
		q.failOldest(status)
		return
	}
	n := min(len(p.Payload), r.readBytes)
	r.readBytes -= n
	q.d.readsEnded(n)
	if (i+1)%q.chunk() == 0 || i+1 == w.packets {
		r.reads = max(0, r.reads-1)
	}
	r.una = p.PSN.Add(1)
	q.complete()
	q.progress(now)
}

func (q *queuePair) atomicAnswer(p *wire.Packet, now int64) {
	r := &q.req
	w := q.oldest()
	if w == nil || !w.atomic() || r.una != p.PSN {
		q.failOldest(driver.WCBadRespErr)
		return
	}
	var old [8]byte
	binary.NativeEndian.PutUint64(old[:], p.AtomicAck)
	if status := q.move(w.sg, 0, old[:], true); status != driver.WCSuccess {
		q.failOldest(status)
		return
	}
	r.reads = max(0, r.reads-1)
	r.una = p.PSN.Add(1)
	q.complete()
	q.progress(now)
}

// oldest returns the request that una belongs to.
func (q *queuePair) oldest() *sendWQE {
	r := &q.req
	if r.head == r.tail {
		return nil
	}
	if w := r.at(r.head); w.state == sendStarted {
		return w
	}
	return nil
}

// nak takes a refusal of the request that begins, or goes on, at the PSN.
func (q *queuePair) nak(p *wire.Packet, now int64) {
	if !q.acked(p.PSN, now) {
		return
	}
	switch p.AETH.Syndrome {
	case wire.NakPSNSequence:
		q.d.count.SequenceNaks++
		q.goBack(now)
	case wire.NakInvalidRequest:
		q.failOldest(driver.WCRemInvReqErr)
	case wire.NakRemoteAccess:
		q.failOldest(driver.WCRemAccessErr)
	case wire.NakRemoteOp:
		q.failOldest(driver.WCRemOpErr)
	default:
		q.failOldest(driver.WCBadRespErr)
	}
}

// goBack sends again from the oldest packet on: once for each gap, since all that
// is under way will be out of order too; and once more if the gap is still there
// when that must have arrived.
func (q *queuePair) goBack(now int64) {
	r := &q.req
	if q.state != driver.QPRTS || r.backed && now-r.backedAt < r.retry.patience() {
		return
	}
	r.backed, r.backedAt = true, now
	q.shrink()
	q.rewind()
	q.d.run(q)
}

// shrink halves the window whose packet was lost.
func (q *queuePair) shrink() {
	r := &q.req
	if w := q.oldest(); w != nil && w.op == driver.OpRDMARead {
		r.readWindow = max(q.chunk(), r.readWindow/2)
	} else {
		r.window = max(windowMin, r.window/2)
	}
}

// rewind makes una the next packet to send.
func (q *queuePair) rewind() {
	r := &q.req
	q.forgetReads()
	r.retry.probing = false
	for i := r.head; i != r.tail; i++ {
		w := r.at(i)
		if w.state == sendStarted && r.una.Less(w.end()) {
			r.cur, r.pkt = i, r.una.Diff(w.first)
			return
		}
	}
}

// progress restarts the timer when una has moved.
func (q *queuePair) progress(now int64) {
	r := &q.req
	t := &r.retry
	r.backed = false
	r.window = min(windowMax, r.window+1)
	r.readWindow = min(readWindowMax, r.readWindow+1)
	q.catchUp()
	if t.probing && t.probePSN.Less(r.una) {
		t.probing = false
		t.measured(now - t.probeAt)
	}
	t.fails, t.probes, t.rnr, t.since, t.paused, t.due = 0, 0, 0, now, false, 0
	if r.outstanding() {
		t.due = now + q.interval(now)
		q.d.set(&t.alarm, q)
	}
}

// catchUp moves the sender past what was acknowledged while it was to be sent again.
func (q *queuePair) catchUp() {
	r := &q.req
	if r.cur == r.tail || r.cur != r.head {
		return
	}
	if w := r.at(r.cur); w.state == sendStarted && w.first.Add(r.pkt).Less(r.una) {
		r.pkt = r.una.Diff(w.first)
	}
}
