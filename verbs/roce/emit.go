// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"lazystate/internal/seqnum"
	"lazystate/verbs/driver"
	"lazystate/verbs/roce/wire"
)

// header starts a packet to q's peer.
func (q *queuePair) header(op wire.Opcode, psn seqnum.PSN) *wire.Packet {
	p := &q.d.outPacket
	p.BTH = wire.BTH{Opcode: op, MigReq: true, PKey: wire.DefaultPKey, DestQP: q.attr.DestQPN, PSN: psn}
	return p
}

// put writes the headers and returns where the n bytes of payload belong; send
// finishes the packet.
func (q *queuePair) put(p *wire.Packet, n int) []byte {
	b := q.d.tx.begin(&q.path, wire.Len(p.Opcode, n))
	head := p.PutHeader(b, n)
	clear(b[head+n : len(b)-wire.ICRCLen]) // the pad
	return b[head : head+n : head+n]
}

func (q *queuePair) send() { q.d.tx.end() }

// sendPackets sends packets of a SEND or WRITE while the window and the budget last.
func (q *queuePair) sendPackets(w *sendWQE, budget int) int {
	r := &q.req
	n := 0
	for n < budget && r.pkt < w.packets {
		psn := w.first.Add(r.pkt)
		if psn.Diff(r.una) >= r.window {
			break
		}
		if w.status = q.sendPacket(w, psn, false); w.status != driver.WCSuccess {
			w.state = sendDone
			break
		}
		r.pkt++
		n++
		r.sent(psn.Add(1))
	}
	return n
}

// sendPacket sends packet r.pkt of w; ack is whether it asks for an acknowledgement
// wherever it stands.
func (q *queuePair) sendPacket(w *sendWQE, psn seqnum.PSN, ack bool) driver.WCStatus {
	i := q.req.pkt
	first, last := i == 0, i == w.packets-1
	off := i * q.mtu
	n := min(q.mtu, w.length-off)
	p := q.header(sendOpcode(w.op, first, last), psn)
	ahead := psn.Diff(q.req.una)
	p.AckReq = ack || last || i%ackEvery == ackEvery-1 || ahead == q.req.window-1 || ahead == q.req.window/2
	p.Solicited = last && w.flags&driver.SendSolicited != 0
	p.Imm, p.InvRKey = w.imm, w.imm
	p.RETH = wire.RETH{VA: w.remote, RKey: w.rkey, Len: uint32(w.length)}
	b := q.put(p, n)
	if status := q.gather(b, w, off); status != driver.WCSuccess {
		q.d.tx.cancel()
		return status
	}
	q.send()
	q.count(psn)
	return driver.WCSuccess
}

// opcodes of a message's packets by place: middle, first, last, only.
var (
	plainSend = [4]wire.Opcode{wire.OpSendMiddle, wire.OpSendFirst, wire.OpSendLast, wire.OpSendOnly}
	immSend   = [4]wire.Opcode{wire.OpSendMiddle, wire.OpSendFirst, wire.OpSendLastImm, wire.OpSendOnlyImm}
	invSend   = [4]wire.Opcode{wire.OpSendMiddle, wire.OpSendFirst, wire.OpSendLastInv, wire.OpSendOnlyInv}
	write     = [4]wire.Opcode{wire.OpWriteMiddle, wire.OpWriteFirst, wire.OpWriteLast, wire.OpWriteOnly}
	immWrite  = [4]wire.Opcode{wire.OpWriteMiddle, wire.OpWriteFirst, wire.OpWriteLastImm, wire.OpWriteOnlyImm}
	readResp  = [4]wire.Opcode{wire.OpReadResponseMiddle, wire.OpReadResponseFirst, wire.OpReadResponseLast, wire.OpReadResponseOnly}
)

func place(first, last bool) int {
	i := 0
	if first {
		i = 1
	}
	if last {
		i |= 2
	}
	return i
}

func sendOpcode(op driver.Opcode, first, last bool) wire.Opcode {
	i := place(first, last)
	switch op {
	case driver.OpSend:
		return plainSend[i]
	case driver.OpSendWithImm:
		return immSend[i]
	case driver.OpSendWithInv:
		return invSend[i]
	case driver.OpRDMAWriteWithImm:
		return immWrite[i]
	}
	return write[i]
}

// askRead asks for one chunk of a READ, or for what is missing of it.
func (q *queuePair) askRead(w *sendWQE) int {
	r := &q.req
	per := q.chunk()
	end := min(w.packets, (r.pkt/per+1)*per)
	off := r.pkt * q.mtu
	n := min(w.length, end*q.mtu) - off
	psn := w.first.Add(r.pkt)
	if r.reads > 0 && w.first.Add(end).Diff(r.una) > r.readWindow || !q.mayAsk(w, n) {
		return 0
	}
	p := q.header(wire.OpReadRequest, psn)
	p.RETH = wire.RETH{VA: w.remote + uint64(off), RKey: w.rkey, Len: uint32(n)}
	p.AckReq = true
	q.put(p, 0)
	q.send()
	q.count(psn)
	r.readBytes += n
	q.d.readBytes += n
	r.reads++
	r.pkt = end
	r.sent(w.first.Add(end))
	return 1
}

// mayAsk reports whether an answer of n bytes may be asked for now.
func (q *queuePair) mayAsk(w *sendWQE, n int) bool {
	r, d := &q.req, q.d
	switch {
	case q.attr.MaxRdAtomic == 0:
		w.status, w.state = driver.WCLocQPOpErr, sendDone
		return false
	case r.reads >= int(q.attr.MaxRdAtomic):
		return false
	case d.readBytes > 0 && d.readBytes+n > d.readLimit:
		d.readWaiters = append(d.readWaiters, q)
		return false
	}
	return true
}

func (q *queuePair) askAtomic(w *sendWQE) int {
	r := &q.req
	if !q.mayAsk(w, 0) {
		return 0
	}
	op := wire.OpCompareSwap
	if w.op == driver.OpAtomicFetchAndAdd {
		op = wire.OpFetchAdd
	}
	p := q.header(op, w.first)
	p.AckReq = true
	p.Atomic = wire.AtomicETH{VA: w.remote, RKey: w.rkey}
	if op == wire.OpCompareSwap {
		p.Atomic.SwapAdd, p.Atomic.Compare = w.swap, w.compareAdd
	} else {
		p.Atomic.SwapAdd = w.compareAdd
	}
	q.put(p, 0)
	q.send()
	q.count(w.first)
	r.reads++
	r.pkt = 1
	r.sent(w.end())
	return 1
}

// probeOldest sends the oldest packet again and leaves everything else as it is.
func (q *queuePair) probeOldest() {
	r := &q.req
	w := q.oldest()
	if w == nil || !r.una.Less(r.nxt) {
		return
	}
	cur, pkt, reads, bytes := r.cur, r.pkt, r.reads, r.readBytes
	r.cur, r.pkt = r.head, r.una.Diff(w.first)
	r.retry.probing = false
	switch {
	case w.op == driver.OpRDMARead:
		r.reads = 0
		q.askRead(w)
	case w.atomic():
		r.reads = 0
		q.askAtomic(w)
	default:
		q.sendPacket(w, r.una, true)
	}
	q.d.readBytes -= r.readBytes - bytes
	r.cur, r.pkt, r.reads, r.readBytes = cur, pkt, reads, bytes
}

// count tells a retransmission from a first sending.
func (q *queuePair) count(psn seqnum.PSN) {
	if psn.Less(q.req.nxt) {
		q.d.count.Retransmits++
		return
	}
	q.d.count.SentPackets++
	q.req.retry.probe(q.d, psn)
}

// readsEnded gives back n bytes of what the device may have asked for, and lets
// those go on that waited for them.
func (d *Device) readsEnded(n int) {
	d.readBytes -= n
	if len(d.readWaiters) == 0 {
		return
	}
	for _, q := range d.readWaiters {
		d.run(q)
	}
	d.readWaiters = d.readWaiters[:0]
	d.kick() // it may be a caller that ended a queue pair, and nothing may be under way that would wake the device
}

// forgetReads takes all READs and atomics as not asked.
func (q *queuePair) forgetReads() {
	r := &q.req
	n := r.readBytes
	r.reads, r.readBytes = 0, 0
	q.d.readsEnded(n)
}
