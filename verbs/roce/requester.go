// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"lazystate/internal/seqnum"
	"lazystate/verbs/driver"
)

const (
	windowStart = 64 // packets in flight
	windowMin   = 16
	windowMax   = 128
	ackEvery    = 16 // packets of a long message between requests for an acknowledgement

	// READs are asked for in chunks: what a lost packet makes the peer send again
	// is one at most.
	chunkBytes   = 64 << 10
	chunkPackets = 64

	readWindowStart = 256 // packets of answers under way
	readWindowMax   = 1024
)

// requester is the sending half of a reliable connection: go-back-N over the
// ring of send requests.
type requester struct {
	ring []sendWQE
	// head..tail are posted and not completed; cur is being sent, its packet pkt next.
	head, cur, tail uint64
	pkt             int
	unpolled        int // completions that keep their places

	psn seqnum.PSN // of the next request that starts
	una seqnum.PSN // first that is not acknowledged
	nxt seqnum.PSN // behind the last that was sent

	reads      int // READs and atomics asked and not answered
	readBytes  int // that their answers will have
	window     int
	readWindow int

	backed   bool // went back for the gap there is: once is enough, for a while
	backedAt int64

	retry retry
}

func (r *requester) init(n int) {
	*r = requester{ring: make([]sendWQE, n), window: windowStart, readWindow: readWindowStart}
}

func (r *requester) start(psn seqnum.PSN) { r.psn, r.una, r.nxt = psn, psn, psn }

func (r *requester) at(i uint64) *sendWQE { return &r.ring[i%uint64(len(r.ring))] }

// outstanding reports whether the peer owes an answer.
func (r *requester) outstanding() bool { return r.una != r.nxt }

// chunk returns the packets of a READ that are asked for at once.
func (q *queuePair) chunk() int { return min(chunkPackets, chunkBytes/q.mtu) }

// pump sends up to budget packets; it reports whether more could be sent at once.
func (q *queuePair) pump(now int64, budget int) bool {
	r := &q.req
	if q.state != driver.QPRTS || r.retry.paused || r.cur == r.tail {
		return false
	}
	if q.typ == driver.UD {
		return q.pumpDatagrams(budget)
	}
	for budget > 0 && r.cur != r.tail {
		w := r.at(r.cur)
		if w.status != driver.WCSuccess || w.state == sendPosted && !q.begin(w) {
			break
		}
		n := 0
		switch {
		case w.packets == 0:
		case w.op == driver.OpRDMARead:
			n = q.askRead(w)
		case w.atomic():
			n = q.askAtomic(w)
		default:
			n = q.sendPackets(w, budget)
		}
		if w.status != driver.WCSuccess {
			q.complete()
			break
		}
		if r.pkt < w.packets && n == 0 {
			break // the window or the peer's resources are full
		}
		budget -= max(n, 1)
		if r.pkt == w.packets {
			r.cur, r.pkt = r.cur+1, 0
		}
		if w.packets == 0 {
			q.complete()
		}
	}
	q.armRetry(now)
	return budget <= 0 && r.cur != r.tail
}

// begin gives a request its numbers. False: it has to wait, or has failed.
func (q *queuePair) begin(w *sendWQE) bool {
	r := &q.req
	switch {
	case w.flags&driver.SendFence != 0 && r.reads > 0:
		return false
	case w.isLocal() && r.outstanding():
		return false // what was asked before may need the key still
	case w.isLocal():
		w.status, w.state = q.actLocal(w), sendDone
	default:
		w.status = q.checkLocal(w)
	}
	if w.status != driver.WCSuccess {
		w.state = sendDone
		q.complete()
		return false
	}
	w.first = r.psn
	if !w.isLocal() {
		w.state, w.packets = sendStarted, max(1, (w.length+q.mtu-1)/q.mtu)
		r.psn = r.psn.Add(w.packets)
	}
	return true
}

// sent notes that the packets before psn have left.
func (r *requester) sent(psn seqnum.PSN) {
	if r.nxt.Less(psn) {
		r.nxt = psn
	}
}

// ackTo takes all packets before psn as arrived. False: among them is a READ or
// atomic whose answer has not come, so it was lost.
func (q *queuePair) ackTo(psn seqnum.PSN) bool {
	r := &q.req
	for i := r.head; i != r.tail && r.una.Less(psn); i++ {
		w := r.at(i)
		switch {
		case w.state != sendStarted:
		case w.answered():
			q.complete()
			return false
		case w.end().Less(psn):
			r.una = w.end()
		default:
			r.una = psn
		}
	}
	q.complete()
	return true
}

// complete ends the requests that are done, in order.
func (q *queuePair) complete() {
	r := &q.req
	for r.head != r.tail {
		w := r.at(r.head)
		switch {
		case w.status != driver.WCSuccess:
			q.sendDone(w, w.status)
			r.head++
			q.broken()
			return
		case w.state == sendDone:
		case w.state != sendStarted || r.una.Less(w.end()):
			return
		}
		if w.flags&driver.SendSignaled != 0 || q.sigAll {
			q.sendDone(w, driver.WCSuccess)
		}
		if r.cur == r.head {
			r.cur, r.pkt = r.cur+1, 0 // acknowledged while it was being sent again
		}
		r.head++
	}
}

var sendOpcodes = [...]driver.WCOpcode{
	driver.OpRDMAWrite: driver.WCRDMAWrite, driver.OpRDMAWriteWithImm: driver.WCRDMAWrite,
	driver.OpSend: driver.WCSend, driver.OpSendWithImm: driver.WCSend, driver.OpSendWithInv: driver.WCSend,
	driver.OpRDMARead: driver.WCRDMARead, driver.OpAtomicCmpAndSwp: driver.WCCompSwap, driver.OpAtomicFetchAndAdd: driver.WCFetchAdd,
	driver.OpLocalInv: driver.WCLocalInv, driver.OpBindMW: driver.WCBindMW,
}

func (q *queuePair) sendDone(w *sendWQE, status driver.WCStatus) {
	q.d.push(q.sendCQ, driver.WC{ID: w.id, Status: status, Op: sendOpcodes[w.op], ByteLen: uint32(w.length), QPNum: q.num}, &q.req, false)
}

// failOldest ends the connection because of the oldest request.
func (q *queuePair) failOldest(status driver.WCStatus) {
	r := &q.req
	if r.head == r.tail {
		q.fatal()
		return
	}
	w := r.at(r.head)
	w.status, w.state = status, sendDone
	q.complete()
}

// broken moves to the error state after a request that failed.
func (q *queuePair) broken() {
	if q.typ == driver.UD {
		q.state = driver.QPSQE
		q.flushSends()
		return
	}
	q.fatal()
}

// flushSends ends all requests that have not completed.
func (q *queuePair) flushSends() {
	r := &q.req
	for ; r.head != r.tail; r.head++ {
		q.sendDone(r.at(r.head), driver.WCWRFlushErr)
	}
	r.cur, r.pkt = r.tail, 0
	r.una = r.nxt
	q.forgetReads()
	r.retry.stop()
}
