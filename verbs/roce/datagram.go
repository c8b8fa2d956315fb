// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"fmt"

	"lazystate/verbs/driver"
	"lazystate/verbs/roce/netio"
	"lazystate/verbs/roce/wire"
)

const grhLen = 40 // bytes before a received datagram's payload

// CreateAH makes a way to a peer for datagrams.
func (d *Device) CreateAH(pd driver.PD, a *driver.AHAttr) (driver.AH, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, err := d.newPath(a.DGID.Addr())
	if _, ok := d.pds[pd]; err != nil || !ok {
		return 0, fmt.Errorf("create address handle to %v: %w", a.DGID.Addr(), driver.ErrInvalid)
	}
	h := driver.AH(d.handle())
	d.ahs[h] = &p
	return h, nil
}

func (d *Device) DestroyAH(h driver.AH) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ahs[h] == nil {
		return fmt.Errorf("destroy address handle %d: %w", h, driver.ErrInvalid)
	}
	d.tx.flush()
	delete(d.ahs, h)
	return nil
}

// pumpDatagrams sends a UD queue pair's requests; they complete as they leave.
func (q *queuePair) pumpDatagrams(budget int) bool {
	r := &q.req
	for ; budget > 0 && r.cur != r.tail; budget-- {
		w := r.at(r.cur)
		w.status, w.state = q.sendDatagram(w), sendDone
		r.cur++
		q.complete()
		if q.state != driver.QPRTS {
			return false
		}
	}
	return r.cur != r.tail
}

func (q *queuePair) sendDatagram(w *sendWQE) driver.WCStatus {
	to := q.d.ahs[w.ah]
	switch {
	case to == nil:
		return driver.WCLocQPOpErr
	case w.length > q.d.mtu.Bytes():
		return driver.WCLocLenErr
	}
	if s := q.checkLocal(w); s != driver.WCSuccess {
		return s
	}
	op := wire.OpUDSendOnly
	if w.op == driver.OpSendWithImm {
		op = wire.OpUDSendOnlyImm
	}
	p := q.header(op, q.req.psn)
	p.DestQP = w.remoteQPN & 0xffffff
	p.Solicited = w.flags&driver.SendSolicited != 0
	p.DETH = wire.DETH{QKey: w.remoteQK, SrcQP: q.num}
	if w.remoteQK&0x80000000 != 0 {
		p.DETH.QKey = q.attr.QKey // a key with the high bit set is the queue pair's own
	}
	p.Imm = w.imm
	q.req.psn = q.req.psn.Add(1)
	b := q.d.tx.begin(to, wire.Len(op, w.length))
	head := p.PutHeader(b, w.length)
	clear(b[head+w.length : len(b)-wire.ICRCLen])
	if s := q.gather(b[head:head+w.length], w, 0); s != driver.WCSuccess {
		q.d.tx.cancel()
		return s
	}
	q.d.tx.end()
	return driver.WCSuccess
}

// datagram takes a packet for a UD queue pair; without a receive it is lost.
func (d *Device) datagram(q *queuePair, dg *netio.Datagram, pkt []byte, p *wire.Packet) {
	if dg.Peer != q.path.from && !q.path.cameFrom(dg.Peer, d.port.Local()) {
		d.count.BadSource++
		return
	}
	switch {
	case !q.path.check(d, dg, pkt):
		d.count.ICRCErrors++
		return
	case p.DETH.QKey != q.attr.QKey:
		d.count.BadQKey++
		return
	case q.state != driver.QPRTR && q.state != driver.QPRTS && q.state != driver.QPSQE || !q.nextRecv(&q.resp.wr):
		d.count.UDDropped++
		return
	}
	wc := driver.WC{Op: driver.WCRecv, Flags: driver.WCGRH, SrcQP: p.DETH.SrcQP, ByteLen: uint32(grhLen + len(p.Payload))}
	if p.Opcode.Is(wire.PropImm) {
		wc.Flags, wc.Imm = wc.Flags|driver.WCWithImm, p.Imm
	}
	head := q.grh(dg, len(pkt))
	wc.Status = q.move(q.resp.wr.sg, 0, head[:], true)
	if wc.Status == driver.WCSuccess {
		wc.Status = q.move(q.resp.wr.sg, grhLen, p.Payload, true)
	}
	q.resp.solicited = p.Solicited
	q.recvDone(&q.resp.wr, wc)
	if wc.Status != driver.WCSuccess {
		q.fatal()
	}
}

// grh is the header that a receiver finds before the payload: an IPv6 header,
// or an IPv4 header in the last 20 of its 40 bytes.
func (q *queuePair) grh(dg *netio.Datagram, length int) (h [grhLen]byte) {
	src, dst := dg.Peer.Addr(), q.d.port.Local().Addr()
	n := length + 8
	if src.Is4() {
		ip := h[20:]
		ip[0], ip[8], ip[9] = 0x45, 64, 17
		ip[2], ip[3] = byte((n+20)>>8), byte(n+20)
		s, d := src.As4(), dst.As4()
		copy(ip[12:], s[:])
		copy(ip[16:], d[:])
		return h
	}
	h[0], h[6], h[7] = 0x60, 17, 64
	h[4], h[5] = byte(n>>8), byte(n)
	s, d := src.As16(), dst.As16()
	copy(h[8:], s[:])
	copy(h[24:], d[:])
	return h
}
