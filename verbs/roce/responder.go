// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"lazystate/internal/seqnum"
	"lazystate/verbs/driver"
	"lazystate/verbs/roce/wire"
)

// message is what the responder is in the middle of.
type message uint8

const (
	msgNone message = iota
	msgSend
	msgWrite
)

const maxJobs = 256 // answers owed: a peer keeps at most MaxDestRdAtomic outstanding

// responder is the receiving half of a reliable connection.
type responder struct {
	epsn seqnum.PSN // expected next
	msn  uint32     // messages completed

	msg    message
	wr     recvWQE // of the SEND that arrives
	haveWR bool
	off    int // bytes of the message so far

	target *region // of the WRITE that arrives; nil if it has no bytes
	addr   uint64
	left   int    // bytes to come
	whole  []byte // of a WRITE to a handler

	jobs     []job // answers to READs and atomics, in order
	atomics  atomicLog
	admitted readLog

	ackDue    bool
	ackPSN    seqnum.PSN
	nak       wire.Syndrome // to be sent with nakPSN behind the jobs; 0: none
	nakPSN    seqnum.PSN
	asked     bool  // asked for epsn: the packets behind it need no further NAK for a while
	askedAt   int64 // 0: an RNR NAK asked, the peer comes by itself
	anyRead   bool
	lastRead  seqnum.PSN // of the newest READ or atomic
	listed    bool       // in Device.toAnswer
	solicited bool

	ended   bool // by an error, with NAK lastNak at lastPSN, which may get lost
	lastNak wire.Syndrome
	lastPSN seqnum.PSN
}

// request takes a packet of the peer's requester.
func (q *queuePair) request(p *wire.Packet, now int64) {
	r := &q.resp
	switch q.state {
	case driver.QPRTR, driver.QPRTS:
	case driver.QPError:
		if !r.ended {
			return
		}
	default:
		return
	}
	if q.state == driver.QPRTR {
		q.established(now)
	}
	ahead := p.PSN.Diff(r.epsn)
	switch {
	case ahead > 0 && !r.ended:
		q.d.count.OutOfSequence++
		if !r.asked || r.askedAt != 0 && now-r.askedAt > minProbe {
			r.asked, r.askedAt = true, now
			q.refuse(wire.NakPSNSequence)
		}
	case ahead < 0:
		q.d.count.DuplicateRequests++
		q.again(p)
	case r.ended:
		r.nak, r.nakPSN = r.lastNak, r.lastPSN
		q.list()
	default:
		q.d.count.RecvPackets++
		q.execute(p)
	}
}

// list makes sure that q answers at the end of this batch of packets.
func (q *queuePair) list() {
	if !q.resp.listed {
		q.resp.listed = true
		q.d.toAnswer = append(q.d.toAnswer, q)
	}
}

// refuse sends a NAK for the expected packet, once what was owed before it has left.
func (q *queuePair) refuse(s wire.Syndrome) {
	q.resp.nak, q.resp.nakPSN = s, q.resp.epsn
	q.list()
}

// verdict is what became of a packet.
type verdict struct {
	nak   wire.Syndrome    // 0: it was executed
	event driver.EventType // raised here, with nak other than RNR
	local driver.WCStatus  // of the receive that was being filled
	lost  bool             // as though it had not come; what comes behind it is not asked for
}

var (
	accepted = verdict{}
	invalid  = verdict{nak: wire.NakInvalidRequest, event: driver.EventQPReqErr, local: driver.WCRemInvReqErr}
	noAccess = verdict{nak: wire.NakRemoteAccess, event: driver.EventQPAccessErr, local: driver.WCLocAccessErr}
	broken   = verdict{nak: wire.NakRemoteOp, event: driver.EventQPFatal, local: driver.WCLocProtErr}
)

// execute does what the expected packet asks for.
func (q *queuePair) execute(p *wire.Packet) {
	r := &q.resp
	props := p.Opcode.Props()
	var v verdict
	packets := 1
	switch {
	case props&wire.PropSend != 0:
		v = q.sendArrives(p, props)
	case props&wire.PropWrite != 0:
		v = q.writeArrives(p, props)
	case r.msg != msgNone:
		v = invalid
	case props&wire.PropRead != 0:
		packets, v = q.readArrives(p)
	default:
		v = q.atomicArrives(p)
	}
	switch {
	case v.nak != 0:
		q.fail(p, v)
		return
	case v.lost:
		r.asked, r.askedAt = true, 0
		return
	}
	if props&(wire.PropSend|wire.PropWrite) == 0 {
		r.anyRead, r.lastRead = true, r.epsn
	}
	r.epsn = r.epsn.Add(packets)
	r.asked = false
	if p.AckReq && props&(wire.PropSend|wire.PropWrite) != 0 {
		q.owe(p.PSN)
	}
}

// owe promises an acknowledgement of all up to psn.
func (q *queuePair) owe(psn seqnum.PSN) {
	r := &q.resp
	if !r.ackDue || r.ackPSN.Less(psn) {
		r.ackDue, r.ackPSN = true, psn
	}
	q.list()
}

// fail refuses the expected packet: for a while, or for good.
func (q *queuePair) fail(p *wire.Packet, v verdict) {
	r := &q.resp
	if v.nak.IsRNR() {
		q.d.count.RNRNaksSent++
		r.asked, r.askedAt = true, 0
		q.refuse(v.nak)
		return
	}
	q.d.refused(Refusal{q.num, p.Opcode, p.PSN, len(p.Payload), r.msg != msgNone, v.nak})
	q.refuse(v.nak)
	r.ended, r.lastNak, r.lastPSN = true, v.nak, r.epsn
	if r.haveWR {
		r.haveWR = false
		q.recvDone(&r.wr, driver.WC{Status: v.local})
	}
	q.d.raise(driver.AsyncEvent{Type: v.event, QP: driver.QP(q.num)})
	q.fatal()
}

// inOrder checks a packet's place in its message and its length.
func (q *queuePair) inOrder(p *wire.Packet, props wire.Props, kind message) bool {
	first, last := props&wire.PropFirst != 0, props&wire.PropLast != 0
	switch {
	case first && q.resp.msg != msgNone, !first && q.resp.msg != kind:
		return false
	case !last:
		return len(p.Payload) == q.mtu
	case !first:
		return len(p.Payload) > 0 && len(p.Payload) <= q.mtu
	}
	return len(p.Payload) <= q.mtu
}

func (q *queuePair) sendArrives(p *wire.Packet, props wire.Props) verdict {
	r := &q.resp
	if !q.inOrder(p, props, msgSend) {
		return invalid
	}
	if props&wire.PropFirst != 0 {
		if !q.nextRecv(&r.wr) {
			return verdict{nak: wire.RNRNak(q.attr.MinRNRTimer)}
		}
		r.msg, r.haveWR, r.off = msgSend, true, 0
	}
	switch q.move(r.wr.sg, r.off, p.Payload, true) {
	case driver.WCSuccess:
	case driver.WCLocLenErr:
		v := invalid
		v.local = driver.WCLocLenErr
		return v
	default:
		return broken
	}
	r.off += len(p.Payload)
	if props&wire.PropLast != 0 {
		return q.sendArrived(p, props)
	}
	return accepted
}

func (q *queuePair) sendArrived(p *wire.Packet, props wire.Props) verdict {
	r := &q.resp
	wc := driver.WC{Op: driver.WCRecv, ByteLen: uint32(r.off)}
	switch {
	case props&wire.PropImm != 0:
		wc.Flags, wc.Imm = driver.WCWithImm, p.Imm
	case props&wire.PropIETH != 0:
		if !q.invalidate(p.InvRKey) {
			return noAccess
		}
		wc.Flags, wc.Imm = driver.WCWithInv, p.InvRKey
	}
	r.msg, r.haveWR, r.solicited = msgNone, false, p.Solicited
	r.msn++
	q.recvDone(&r.wr, wc)
	return accepted
}

func (q *queuePair) writeArrives(p *wire.Packet, props wire.Props) verdict {
	r := &q.resp
	if !q.inOrder(p, props, msgWrite) {
		return invalid
	}
	if props&wire.PropFirst != 0 {
		if v := q.openWrite(p); v.nak != 0 {
			return v
		}
	}
	last := props&wire.PropLast != 0
	switch {
	case len(p.Payload) > r.left || last && len(p.Payload) != r.left:
		return invalid
	case last && props&wire.PropImm != 0:
		if r.haveWR = q.nextRecv(&r.wr); !r.haveWR {
			if props&wire.PropFirst != 0 {
				r.msg = msgNone // all of it will come again
			}
			return verdict{nak: wire.RNRNak(q.attr.MinRNRTimer)}
		}
	}
	if v := q.store(p.Payload, last); v.nak != 0 {
		return v
	}
	if last {
		r.msg, r.target = msgNone, nil
		r.msn++
		if props&wire.PropImm != 0 {
			r.haveWR, r.solicited = false, p.Solicited
			q.recvDone(&r.wr, driver.WC{Op: driver.WCRecvRDMAWithImm, Flags: driver.WCWithImm, Imm: p.Imm, ByteLen: uint32(r.off)})
		}
	}
	return accepted
}

// openWrite checks what a WRITE asks for before its first byte is stored.
func (q *queuePair) openWrite(p *wire.Packet) verdict {
	r := &q.resp
	h := &p.RETH
	if q.attr.Access&driver.AccessRemoteWrite == 0 || h.Len > maxMsg {
		return invalid
	}
	r.target = nil
	if h.Len > 0 {
		r.target = q.remote(h.RKey, driver.AccessRemoteWrite, h.VA, uint64(h.Len))
		if r.target == nil {
			return noAccess
		}
		if r.target.handler != nil && h.Len > maxHandled {
			return noAccess
		}
	}
	r.msg, r.addr, r.left, r.off, r.whole = msgWrite, h.VA, int(h.Len), 0, r.whole[:0]
	return accepted
}
