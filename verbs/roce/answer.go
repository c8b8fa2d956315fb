// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"errors"
	"slices"

	"lazystate/internal/mapfault"
	"lazystate/internal/seqnum"
	"lazystate/verbs/driver"
	"lazystate/verbs/roce/wire"
)

// job is an answer owed: to a READ, or to an atomic.
type job struct {
	psn    seqnum.PSN // of the next packet
	msn    uint32
	atomic bool
	old    uint64 // an atomic's answer

	from  *region // nil if no bytes were asked for
	addr  uint64
	left  int
	begun bool
}

// packets returns how many are left to send.
func (j *job) packets(mtu int) int { return max(1, (j.left+mtu-1)/mtu) }

func (j *job) end(mtu int) seqnum.PSN { return j.psn.Add(j.packets(mtu)) }

// atomicLog remembers what atomics answered: one that is asked again must not
// run again.
type atomicLog struct {
	list [maxRdAtomic]struct {
		psn seqnum.PSN
		old uint64
	}
	n int
}

func (l *atomicLog) add(psn seqnum.PSN, old uint64) {
	e := &l.list[l.n%len(l.list)]
	e.psn, e.old = psn, old
	l.n++
}

// find looks at the newest first: numbers come round again.
func (l *atomicLog) find(psn seqnum.PSN) (old uint64, ok bool) {
	for i := range min(l.n, len(l.list)) {
		if e := &l.list[(l.n-1-i)%len(l.list)]; e.psn == psn {
			return e.old, true
		}
	}
	return 0, false
}

// readLog remembers the READs that a gate let through. Of them the peer may ask
// again for what was lost; else a number of the past would open what no gate was
// asked about.
type readLog struct {
	list []job
	n    int
}

func (l *readLog) add(j job) {
	if len(l.list) < maxRdAtomic {
		l.list = append(l.list, j)
	} else {
		l.list[l.n%maxRdAtomic] = j
	}
	l.n++
}

// has reports whether j is a part of one, at its place.
func (l *readLog) has(j *job, mtu int) bool {
	return slices.ContainsFunc(l.list, func(o job) bool {
		at := j.psn.Diff(o.psn)
		return o.from == j.from && at >= 0 && at < o.packets(mtu) &&
			j.addr == o.addr+uint64(at*mtu) && j.left <= o.left-at*mtu
	})
}

// readArrives queues the answer to a READ; 0 packets: there are too many, it is
// as if it had been lost.
func (q *queuePair) readArrives(p *wire.Packet) (packets int, v verdict) {
	if len(q.resp.jobs) >= maxJobs {
		return 0, accepted
	}
	j, v := q.newRead(p)
	if v.nak == 0 {
		v = q.admit(&j)
	}
	if v.nak != 0 || v.lost {
		return 0, v
	}
	q.resp.msn++
	q.queueJob(j)
	return j.packets(q.mtu), accepted
}

// newRead checks a READ request.
func (q *queuePair) newRead(p *wire.Packet) (job, verdict) {
	h := &p.RETH
	if q.attr.Access&driver.AccessRemoteRead == 0 || h.Len > maxMsg {
		return job{}, invalid
	}
	j := job{psn: p.PSN, addr: h.VA, left: int(h.Len)}
	if h.Len > 0 {
		if j.from = q.remote(h.RKey, driver.AccessRemoteRead, h.VA, uint64(h.Len)); j.from == nil {
			return job{}, noAccess
		}
	}
	return j, accepted
}

// gate returns the handler that wants to be asked about a READ as a whole, or nil.
func (j *job) gate() driver.ReadGate {
	if j.from == nil {
		return nil
	}
	gate, _ := j.from.handler.(driver.ReadGate)
	return gate
}

// admit asks the gate, if there is one.
func (q *queuePair) admit(j *job) verdict {
	gate := j.gate()
	if gate == nil {
		return accepted
	}
	switch err := gate.AdmitRead(driver.QP(q.num), j.from.base+j.addr-j.from.addr, uint64(j.left)); {
	case errors.Is(err, driver.ErrNoAnswer):
		return verdict{lost: true}
	case err != nil:
		return noAccess
	}
	q.resp.admitted.add(*j)
	return accepted
}

// queueJob puts an answer among those owed, in the order of their PSNs. It takes
// the place of an older answer to the same request, and acknowledges what came
// before it.
func (q *queuePair) queueJob(j job) {
	r := &q.resp
	j.msn = r.msn
	if r.ackDue && r.ackPSN.Less(j.psn) {
		r.ackDue = false
	}
	end := j.end(q.mtu)
	r.jobs = slices.DeleteFunc(r.jobs, func(o job) bool { return o.psn.Less(end) && j.psn.Less(o.end(q.mtu)) })
	at := len(r.jobs)
	for at > 0 && j.psn.Less(r.jobs[at-1].psn) {
		at--
	}
	r.jobs = slices.Insert(r.jobs, at, j)
	q.list()
}

// again answers a request that was executed before. A SEND or WRITE is only
// acknowledged, a READ is read anew, an atomic gets its old answer.
func (q *queuePair) again(p *wire.Packet) {
	props := p.Opcode.Props()
	switch {
	case props&(wire.PropSend|wire.PropWrite) != 0:
		if p.AckReq {
			q.oweAgain(p.PSN)
		}
	case props&wire.PropRead != 0:
		j, v := q.newRead(p)
		if v.nak == 0 && j.end(q.mtu).Diff(q.resp.epsn) <= 0 && len(q.resp.jobs) < maxJobs &&
			(j.gate() == nil || q.resp.admitted.has(&j, q.mtu)) {
			q.queueJob(j)
		}
	default:
		if old, ok := q.resp.atomics.find(p.PSN); ok {
			q.queueJob(job{psn: p.PSN, atomic: true, old: old})
		}
	}
}

// oweAgain acknowledges a repeated SEND or WRITE, and all that came after it, but
// for READs and atomics: their answers may be what was lost.
func (q *queuePair) oweAgain(psn seqnum.PSN) {
	r := &q.resp
	if !r.anyRead || r.lastRead.Less(psn) {
		psn = r.epsn.Add(-1)
	}
	q.owe(psn)
}

// respond sends up to budget packets of what is owed: the answers in order, then
// an acknowledgement or a refusal. It reports whether more is owed.
func (q *queuePair) respond(budget int) bool {
	r := &q.resp
	for len(r.jobs) > 0 && budget > 0 {
		j := &r.jobs[0]
		if j.atomic {
			q.answerAtomic(j)
			budget--
			r.jobs = slices.Delete(r.jobs, 0, 1)
			continue
		}
		n, done, s := q.answerRead(j, budget)
		budget -= n
		switch {
		case s != 0:
			q.cannotAnswer(j.psn, s)
		case done:
			r.jobs = slices.Delete(r.jobs, 0, 1)
		}
	}
	switch {
	case len(r.jobs) > 0:
		return true
	case r.nak != 0:
		q.acknowledge(r.nakPSN, r.nak)
		r.nak, r.ackDue = 0, false
	case r.ackDue:
		q.acknowledge(r.ackPSN, wire.Ack)
		r.ackDue = false
	}
	return false
}

func (q *queuePair) acknowledge(psn seqnum.PSN, s wire.Syndrome) {
	p := q.header(wire.OpAcknowledge, psn)
	p.AETH = wire.AETH{Syndrome: s, MSN: q.resp.msn & 0xffffff}
	q.put(p, 0)
	q.send()
}

func (q *queuePair) answerAtomic(j *job) {
	p := q.header(wire.OpAtomicAcknowledge, j.psn)
	p.AETH = wire.AETH{Syndrome: wire.Ack, MSN: j.msn & 0xffffff}
	p.AtomicAck = j.old
	q.put(p, 0)
	q.send()
}

// answerRead sends up to budget packets of a READ's answer. A syndrome other
// than 0 says that the memory is not there any more.
func (q *queuePair) answerRead(j *job, budget int) (n int, done bool, s wire.Syndrome) {
	if j.from != nil && !j.from.open() {
		return 0, false, wire.NakRemoteAccess
	}
	for n < budget {
		size := min(q.mtu, j.left)
		last := size == j.left
		p := q.header(readResp[place(!j.begun, last)], j.psn)
		p.AETH = wire.AETH{Syndrome: wire.Ack, MSN: j.msn & 0xffffff}
		b := q.put(p, size)
		if s = q.load(b, j); s != 0 {
			q.d.tx.cancel()
			return n, false, s
		}
		q.send()
		n++
		j.begun = true
		j.psn, j.addr, j.left = j.psn.Add(1), j.addr+uint64(size), j.left-size
		if last {
			return n, true, 0
		}
	}
	return n, false, 0
}

// load fills b with a READ's bytes.
func (q *queuePair) load(b []byte, j *job) wire.Syndrome {
	switch {
	case j.from == nil:
	case j.from.handler != nil:
		if j.from.handler.RemoteRead(driver.QP(q.num), j.from.base+j.addr-j.from.addr, b) != nil {
			return wire.NakRemoteAccess
		}
	case mapfault.Copy(b, j.from.slice(j.addr, len(b))) != nil:
		q.d.count.MemoryFaults++
		return wire.NakRemoteOp
	}
	return 0
}

// cannotAnswer refuses a READ in its middle and ends the connection.
func (q *queuePair) cannotAnswer(psn seqnum.PSN, s wire.Syndrome) {
	r := &q.resp
	q.d.refused(Refusal{QPN: q.num, Opcode: wire.OpReadRequest, PSN: psn, Syndrome: s})
	r.jobs = r.jobs[:0]
	r.nak, r.nakPSN = s, psn
	r.ended, r.lastNak, r.lastPSN, r.epsn = true, s, psn, psn
	event := driver.EventQPAccessErr
	if s == wire.NakRemoteOp {
		event = driver.EventQPFatal
	}
	q.d.raise(driver.AsyncEvent{Type: event, QP: driver.QP(q.num)})
	q.fatal()
}

// store keeps a WRITE's bytes; a handler gets them all at once, with the last.
func (q *queuePair) store(b []byte, last bool) verdict {
	r := &q.resp
	t := r.target
	switch {
	case t == nil:
	case !t.open():
		return noAccess
	case t.handler != nil:
		r.whole = append(r.whole, b...)
		off := t.base + r.addr - t.addr
		if last && t.handler.RemoteWrite(driver.QP(q.num), off, r.whole) != nil {
			return noAccess
		}
	default:
		if mapfault.Copy(t.slice(r.addr+uint64(r.off), len(b)), b) != nil {
			q.d.count.MemoryFaults++
			return broken
		}
	}
	r.off += len(b)
	r.left -= len(b)
	return accepted
}
