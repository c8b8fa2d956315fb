// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"testing"
	"time"

	"lazystate/verbs/driver"
	"lazystate/verbs/roce/wire"
)

// The timer follows what answers take (RFC 6298), is twice as long after each expiry,
// and stays within its bounds.
func TestTimerFollowsAnswers(t *testing.T) {
	_, q, _, _ := target(t)
	q.d.mu.Lock()
	defer q.d.mu.Unlock()
	r := &q.req.retry
	answers := func(rtt time.Duration) {
		for range 64 {
			r.measured(int64(rtt))
		}
	}
	within := func(what string, low, high time.Duration) {
		t.Helper()
		if got := time.Duration(q.rto()); got < low || got > high {
			t.Errorf("%s: %v, not within %v and %v", what, got, low, high)
		}
	}
	const first, least, most = time.Duration(firstRTO), time.Duration(minRTO), time.Duration(maxRTO)
	q.attr.Timeout = 20 // four seconds: more than the timer's own bound
	within("nothing is known", first, first)
	answers(time.Millisecond)
	within("answers take a millisecond", least, least)
	answers(200 * time.Millisecond)
	within("answers take 200", 195*time.Millisecond, 220*time.Millisecond)
	r.fails = 1
	within("after one expiry", 390*time.Millisecond, 440*time.Millisecond)
	r.fails = 60
	within("after many", most, most)
	q.attr.Timeout = 14
	within("a queue pair that wants it sooner", driver.AckTimeout(14), driver.AckTimeout(14))
	q.attr.Timeout, r.fails = 20, 0
	answers(time.Millisecond)
	within("answers take a millisecond again", least, least)
}

// A silent peer is tried as often as the retry count says, the oldest packet alone at
// first, and is given up when all that time is over: not sooner.
func TestRetriesAreBounded(t *testing.T) {
	d, q, _, _ := target(t)
	d.mu.Lock()
	defer d.mu.Unlock()
	r, limit := &q.req.retry, q.limit()
	since, now := r.since, r.since
	for tries := 0; q.state == driver.QPRTS; tries++ {
		if r.due <= now || tries > int(q.attr.RetryCount) {
			t.Fatalf("try %d at %v: the timer stands at %v", tries, time.Duration(now-since), time.Duration(r.due-since))
		}
		now = r.due
		q.expire(now)
		d.sendTurns(now)
		d.tx.flush()
	}
	if c := d.count; c.Probes != 2 || c.Timeouts != 5 || c.RetryExceeded != 1 {
		t.Errorf("%d probes, went back %d times, gave up %d times; the retry count is %d", c.Probes, c.Timeouts, c.RetryExceeded, q.attr.RetryCount)
	}
	if took := now - since; took < limit || took > 2*limit {
		t.Errorf("given up after %v, the limit is %v", time.Duration(took), time.Duration(limit))
	}
}

// answered lets a target have a batch of packets and returns how many it answers with.
func answered(t *testing.T, d *Device, q *queuePair, flow *wire.Flow, batch ...wire.Packet) uint64 {
	t.Helper()
	for i := range batch {
		takes(t, d, q, flow, &batch[i])
	}
	before := d.port.Stats().SendErrors // of packets that leave: nobody is there
	d.answer()
	d.tx.flush()
	return d.port.Stats().SendErrors - before
}

// A batch is acknowledged once; and not at all where the answer to a READ behind it
// says as much, or nobody asked.
func TestAcknowledgementsAreCoalesced(t *testing.T) {
	d, q, flow, key := target(t)
	d.mu.Lock()
	defer d.mu.Unlock()
	next := firstPSN
	packet := func(op wire.Opcode, payload int, ask bool) wire.Packet {
		p := wire.Packet{
			BTH: wire.BTH{Opcode: op, PSN: next, AckReq: ask}, RETH: wire.RETH{VA: 0x10000, RKey: key, Len: 8}, Payload: make([]byte, payload),
		}
		next = next.Add(1)
		return p
	}
	writes := func(n int, ask bool) (batch []wire.Packet) {
		for range n {
			batch = append(batch, packet(wire.OpWriteOnly, 8, ask))
		}
		return batch
	}
	if n := answered(t, d, q, flow, writes(16, true)...); n != 1 {
		t.Errorf("16 writes were answered by %d packets", n)
	}
	if n := answered(t, d, q, flow, append(writes(4, true), packet(wire.OpReadRequest, 0, true))...); n != 1 {
		t.Errorf("4 writes and a READ were answered by %d packets", n)
	}
	if n := answered(t, d, q, flow, writes(4, false)...); n != 0 {
		t.Errorf("4 writes that want no answer were answered by %d packets", n)
	}
	if q.resp.epsn != next {
		t.Fatalf("%v is expected, %v is next", q.resp.epsn, next)
	}
	next = next.Add(1) // lost
	if n := answered(t, d, q, flow, writes(8, true)...); n != 1 {
		t.Errorf("8 writes behind one that was lost were answered by %d packets", n)
	}
}

// A long answer leaves in turns: a READ of megabytes is no burst, and others are
// answered meanwhile.
func TestLongAnswersLeaveInTurns(t *testing.T) {
	d, q, flow, key := target(t)
	d.mu.Lock()
	defer d.mu.Unlock()
	asks(t, d, q, flow, key) // for 96 packets
	if n := answered(t, d, q, flow); n != turnBudget {
		t.Errorf("%d packets left at once, a turn is %d", n, turnBudget)
	}
	before := d.port.Stats().SendErrors
	more := d.sendTurns(d.now())
	d.tx.flush()
	if n := d.port.Stats().SendErrors - before; n != 96-turnBudget || more || len(q.resp.jobs) != 0 {
		t.Errorf("%d packets left in the second turn, %d answers are left", n, len(q.resp.jobs))
	}
}
