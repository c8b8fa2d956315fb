// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"time"

	"lazystate/internal/seqnum"
	"lazystate/verbs/driver"
	"lazystate/verbs/roce/wire"
)

const (
	// minRTO: hosts stall for tens of milliseconds, and a shorter timer then
	// repeats what was never lost.
	minRTO   = int64(60 * time.Millisecond)
	firstRTO = int64(100 * time.Millisecond)
	maxRTO   = int64(time.Second)

	// Before that the oldest packet alone is sent again: when the last of a
	// message or its acknowledgement was lost, that brings an answer, and it costs
	// little if the host only stalled.
	minProbe = int64(8 * time.Millisecond)
)

// retry is the timer of a requester. Twice it sends the oldest packet again, soon;
// then it goes back, after as long as answers have taken, at least minRTO, and
// twice as long each time. The queue pair's retry count bounds how often, and with
// the timeout says when the peer is given up: not before all of the tries are
// made, so a host that was stalled itself does not give up.
type retry struct {
	alarm  alarm
	due    int64 // 0: nothing is outstanding
	since  int64 // of the last progress
	fails  int   // expiries since
	probes int   // oldest packets sent again since

	srtt, rttvar int64
	probing      bool
	probePSN     seqnum.PSN
	probeAt      int64

	rnr    int  // RNR NAKs since the last progress
	paused bool // until due, because of one
}

func (q *queuePair) deadline() int64 { return q.req.retry.due }
func (q *queuePair) alarmOf() *alarm { return &q.req.retry.alarm }

// limit returns how long a peer may be silent; 0: for ever.
func (q *queuePair) limit() int64 {
	t := int64(driver.AckTimeout(q.attr.Timeout))
	if t == 0 {
		return 0
	}
	return max(t, minRTO) * int64(q.attr.RetryCount+1)
}

// rto returns the timer's next interval.
func (q *queuePair) rto() int64 {
	t := &q.req.retry
	d := firstRTO
	if t.srtt > 0 {
		d = max(minRTO, t.srtt+4*t.rttvar)
	}
	most := maxRTO
	if ack := int64(driver.AckTimeout(q.attr.Timeout)); ack > 0 {
		most = min(most, max(ack, minRTO))
	}
	return min(d<<min(t.fails, 5), most)
}

// patience returns how long an answer may take before something was most likely lost.
func (t *retry) patience() int64 { return max(minProbe, 4*t.srtt) }

// probesNext reports whether the next try is a probe: two of four tries or more,
// if they come before the first retransmission.
func (q *queuePair) probesNext() bool {
	t := &q.req.retry
	return t.fails == 0 && t.probes < min(2, int(q.attr.RetryCount)/2) && t.patience()<<t.probes < q.rto()
}

// interval returns how long the timer runs next: to the next try, or when all are
// made, to the end.
func (q *queuePair) interval(now int64) int64 {
	t := &q.req.retry
	switch {
	case q.limit() > 0 && t.fails+t.probes >= int(q.attr.RetryCount):
		return max(q.rto(), t.since+q.limit()-now)
	case q.probesNext():
		return t.patience() << t.probes
	}
	return q.rto()
}

// armRetry starts the timer if an answer is owed.
func (q *queuePair) armRetry(now int64) {
	r := &q.req
	if r.retry.due == 0 && r.outstanding() {
		r.retry.since, r.retry.fails, r.retry.probes = now, 0, 0
		r.retry.due = now + q.interval(now)
		q.d.set(&r.retry.alarm, q)
	}
}

// probe times one packet at a time, never one that was sent twice.
func (t *retry) probe(d *Device, psn seqnum.PSN) {
	if !t.probing {
		t.probing, t.probePSN, t.probeAt = true, psn, d.now()
	}
}

// measured is RFC 6298's estimate.
func (t *retry) measured(rtt int64) {
	if t.srtt == 0 {
		t.srtt, t.rttvar = rtt, rtt/2
		return
	}
	diff := t.srtt - rtt
	if diff < 0 {
		diff = -diff
	}
	t.rttvar += (diff - t.rttvar) / 4
	t.srtt += (rtt - t.srtt) / 8
}

func (t *retry) stop() { t.due, t.paused, t.probing = 0, false, false }

// expire is the timer's end: the peer was silent, or is given another try after
// it was not ready.
func (q *queuePair) expire(now int64) {
	t := &q.req.retry
	switch {
	case q.gone || q.state != driver.QPRTS:
		t.stop()
		return
	case t.paused:
		t.paused, t.due = false, 0
		q.d.run(q)
		q.armRetry(now)
		return
	}
	switch {
	case q.limit() > 0 && t.fails+t.probes >= int(q.attr.RetryCount):
		q.d.count.RetryExceeded++
		t.stop()
		q.failOldest(driver.WCRetryExcErr)
		return
	case q.probesNext():
		t.probes++
		q.d.count.Probes++
		q.probeOldest()
	default:
		t.fails++
		q.d.count.Timeouts++
		q.req.backed = false
		q.shrink()
		q.rewind()
		q.d.run(q)
	}
	t.due = now + q.interval(now)
}

// notReady waits as long as the peer asks before its receive queue is tried again.
func (q *queuePair) notReady(p *wire.Packet, now int64) {
	t := &q.req.retry
	if !q.acked(p.PSN, now) || t.paused {
		return
	}
	q.d.count.RNRNaksReceived++
	if q.attr.RNRRetry != 7 && t.rnr >= int(q.attr.RNRRetry) {
		q.failOldest(driver.WCRNRRetryExcErr)
		return
	}
	t.rnr++
	q.rewind()
	q.req.backed = false
	t.paused, t.since, t.fails, t.probes = true, now, 0, 0
	t.due = now + int64(wire.RNRTimer(p.AETH.Syndrome.Value()))
	q.d.set(&t.alarm, q)
}
