// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"fmt"

	"lazystate/internal/mapfault"
	"lazystate/internal/seqnum"
	"lazystate/verbs/driver"
)

// sendState is how far a send request has come.
type sendState uint8

const (
	sendPosted  sendState = iota
	sendStarted           // has its packet sequence numbers
	sendDone
)

// sendWQE is a posted send request.
type sendWQE struct {
	id     uint64
	op     driver.Opcode
	flags  driver.SendFlags
	state  sendState
	status driver.WCStatus // why it failed before it was sent

	sg     []driver.SGE
	inline []byte
	length int

	first   seqnum.PSN
	packets int // PSNs it takes; 0 for what stays here

	remote     uint64
	rkey, imm  uint32
	compareAdd uint64
	swap       uint64
	bind       driver.MWBind
	ah         driver.AH
	remoteQPN  uint32
	remoteQK   uint32
}

// end returns the PSN behind the request's last.
func (w *sendWQE) end() seqnum.PSN { return w.first.Add(w.packets) }

func (w *sendWQE) atomic() bool {
	return w.op == driver.OpAtomicCmpAndSwp || w.op == driver.OpAtomicFetchAndAdd
}

// answered reports whether the peer answers with data, not only with an
// acknowledgement.
func (w *sendWQE) answered() bool { return w.op == driver.OpRDMARead || w.atomic() }

func (w *sendWQE) isLocal() bool { return w.op == driver.OpLocalInv || w.op == driver.OpBindMW }

// PostSend queues requests and sends what may be sent at once, in the caller's
// thread.
func (d *Device) PostSend(h driver.QP, wrs []driver.SendWR) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	q, err := d.qp(h)
	n := 0
	if err == nil && q.state < driver.QPRTS {
		err = fmt.Errorf("in %v: %w", q.state, driver.ErrInvalid)
	}
	for err == nil && n < len(wrs) {
		if err = q.post(&wrs[n]); err == nil {
			n++
		}
	}
	if n > 0 {
		q.posted()
	}
	if err != nil {
		return n, fmt.Errorf("post send %d: %w", n, err)
	}
	return n, nil
}

// posted sends what was queued, or ends it.
func (q *queuePair) posted() {
	d := q.d
	if q.state == driver.QPError || q.state == driver.QPSQE {
		q.flushSends()
		return
	}
	now := d.now()
	if q.pump(now, turnBudget) {
		d.run(q)
		d.kick()
	}
	d.tx.flush()
}

// post checks a request and puts it into the ring.
func (q *queuePair) post(wr *driver.SendWR) error {
	r := &q.req
	if int(r.tail-r.head)+r.unpolled >= len(r.ring) {
		return driver.ErrQueueFull
	}
	if err := q.checkSend(wr); err != nil {
		return err
	}
	w := r.at(r.tail)
	sg, inline := append(w.sg[:0], wr.SG...), w.inline[:0]
	n := 0
	if wr.Flags&driver.SendInline != 0 {
		inline, sg = append(inline, wr.Inline...), sg[:0]
		n = len(inline)
	}
	for i := range sg {
		n += int(sg[i].Length)
	}
	*w = sendWQE{
		id: wr.ID, op: wr.Op, flags: wr.Flags, sg: sg, inline: inline, length: n,
		remote: wr.RemoteAddr, rkey: wr.RKey, imm: wr.Imm, compareAdd: wr.CompareAdd, swap: wr.Swap,
		ah: wr.AH, remoteQPN: wr.RemoteQPN, remoteQK: wr.RemoteQK,
	}
	if wr.Bind != nil {
		w.bind = *wr.Bind
	}
	r.tail++
	return nil
}

// checkSend refuses what no state of the connection could make right.
func (q *queuePair) checkSend(wr *driver.SendWR) error {
	total := uint64(0)
	for i := range wr.SG {
		total += uint64(wr.SG[i].Length)
	}
	inline := wr.Flags&driver.SendInline != 0
	switch {
	case wr.Op > driver.OpSendWithInv || q.typ == driver.UD && wr.Op != driver.OpSend && wr.Op != driver.OpSendWithImm:
		return fmt.Errorf("operation %d: %w", wr.Op, driver.ErrInvalid)
	case len(wr.SG) > q.cap.MaxSendSGE:
		return fmt.Errorf("%d pieces, at most %d: %w", len(wr.SG), q.cap.MaxSendSGE, driver.ErrInvalid)
	case inline && (len(wr.Inline) > q.cap.MaxInline || wr.Op == driver.OpRDMARead || wr.Op > driver.OpRDMARead && wr.Op != driver.OpSendWithInv):
		return fmt.Errorf("%d bytes inline, at most %d, and not for what reads: %w", len(wr.Inline), q.cap.MaxInline, driver.ErrInvalid)
	case total > maxMsg:
		return fmt.Errorf("%d bytes, at most %d: %w", total, maxMsg, driver.ErrInvalid)
	case wr.Op == driver.OpBindMW && wr.Bind == nil:
		return fmt.Errorf("no window to bind: %w", driver.ErrInvalid)
	}
	return nil
}

// checkLocal returns why the request may not use the memory that it names.
func (q *queuePair) checkLocal(w *sendWQE) driver.WCStatus {
	for i := range w.sg {
		if s := &w.sg[i]; s.Length > 0 && q.local(s, w.answered()) == nil {
			return driver.WCLocProtErr
		}
	}
	if w.atomic() && w.length != 8 {
		return driver.WCLocLenErr
	}
	return driver.WCSuccess
}

// gather copies len(dst) bytes of a request's payload from off on.
func (q *queuePair) gather(dst []byte, w *sendWQE, off int) driver.WCStatus {
	if w.flags&driver.SendInline != 0 {
		copy(dst, w.inline[off:])
		return driver.WCSuccess
	}
	return q.move(w.sg, off, dst, false)
}

// move copies buf out of the pieces of a scatter/gather list, from byte off on,
// or into them.
func (q *queuePair) move(sg []driver.SGE, off int, buf []byte, write bool) driver.WCStatus {
	for i := 0; i < len(sg) && len(buf) > 0; i++ {
		s := &sg[i]
		if off >= int(s.Length) {
			off -= int(s.Length)
			continue
		}
		r := q.local(s, write)
		if r == nil {
			return driver.WCLocProtErr
		}
		n := min(len(buf), int(s.Length)-off)
		mem := r.slice(s.Addr+uint64(off), n)
		var err error
		if write {
			err = mapfault.Copy(mem, buf[:n])
		} else {
			err = mapfault.Copy(buf[:n], mem)
		}
		if err != nil {
			q.d.count.MemoryFaults++
			return driver.WCLocProtErr
		}
		buf, off = buf[n:], 0
	}
	if len(buf) > 0 {
		return driver.WCLocLenErr
	}
	return driver.WCSuccess
}
