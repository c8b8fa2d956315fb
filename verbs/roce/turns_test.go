// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/verbs/driver"
	"lazystate/verbs/roce/netio"
	"lazystate/verbs/roce/wire"
)

// asks lets a target's peer ask for as much as makes more than one turn.
func asks(t *testing.T, d *Device, q *queuePair, flow *wire.Flow, key uint32) {
	t.Helper()
	psn := firstPSN
	for range 3 {
		takes(t, d, q, flow, &wire.Packet{BTH: wire.BTH{Opcode: wire.OpReadRequest, PSN: psn}, RETH: wire.RETH{VA: 0x10000, RKey: key, Len: 8192}})
		psn = psn.Add(32)
	}
	if len(q.resp.jobs) != 3 {
		t.Fatalf("%d answers owed", len(q.resp.jobs))
	}
}

// Who is read from without end gets to send, too.
func TestAnswersLeaveTurnsForRequests(t *testing.T) {
	d, q, flow, key := target(t)
	d.mu.Lock()
	defer d.mu.Unlock()
	q.req.window = q.req.nxt.Diff(q.req.una) // nothing more may be sent
	d.mu.Unlock()
	_, err := d.PostSend(driver.QP(q.num), []driver.SendWR{{Op: driver.OpSend}})
	d.mu.Lock()
	check(t, err)
	before := q.req.nxt
	asks(t, d, q, flow, key)
	q.req.window = windowMax
	d.run(q)
	if d.sendTurns(d.now()); len(q.resp.jobs) == 0 || q.req.nxt == before {
		t.Errorf("%d answers are left, %d packets of requests have left", len(q.resp.jobs), q.req.nxt.Diff(before))
	}
	d.tx.flush()
}

// A queue pair that has failed, was destroyed or reset answers nothing any more.
func TestNoAnswersAfterTheEnd(t *testing.T) {
	for name, end := range map[string]func(*Device, driver.QP) error{
		"destroyed": (*Device).DestroyQP,
		"failed": func(d *Device, h driver.QP) error {
			return d.ModifyQP(h, &driver.QPAttr{State: driver.QPError}, driver.QPMaskState)
		},
		"reset": func(d *Device, h driver.QP) error {
			return d.ModifyQP(h, &driver.QPAttr{State: driver.QPReset}, driver.QPMaskState)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, q, flow, key := target(t)
			d.mu.Lock()
			defer d.mu.Unlock()
			asks(t, d, q, flow, key)
			d.run(q)
			d.mu.Unlock()
			before := d.Counters().Port.SendErrors // of packets that left: nobody is there
			err := end(d, driver.QP(q.num))
			d.mu.Lock()
			check(t, err)
			d.answer()
			d.sendTurns(d.now())
			d.tx.flush()
			if sent := d.port.Stats().SendErrors - before; sent != 0 {
				t.Errorf("%d packets have left", sent)
			}
		})
	}
}

// Who waits until others' answers have come is woken when those will not come.
func TestReadsThatWaitAreWoken(t *testing.T) {
	d, q, _, _ := target(t)
	fd := must[int](t)(unix.Eventfd(0, unix.EFD_NONBLOCK))
	defer unix.Close(fd)
	s := newSide(t, d, 4096)
	d.mu.Lock()
	if q.req.readBytes == 0 {
		t.Fatal("nothing is under way")
	}
	d.sleeper = fd
	d.readWaiters = append(d.readWaiters, d.qps[uint32(s.qp)])
	d.mu.Unlock()
	check(t, d.DestroyQP(driver.QP(q.num)))
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sleeper = -1
	var n [8]byte
	if _, err := unix.Read(fd, n[:]); err != nil || d.readBytes != 0 {
		t.Errorf("the device sleeps (%v), with %d bytes under way", err, d.readBytes)
	}
}

// brokenPort is readable for ever, and cannot be read.
type brokenPort struct {
	netio.Port
	reads atomic.Int64
}

func (p *brokenPort) Recv([]netio.Datagram) (int, error) {
	p.reads.Add(1)
	return 0, unix.EBADFD // as a TAP says that was taken away
}

// A port that has failed is tried again, and not without end.
func TestFailedPortRests(t *testing.T) {
	hub := &netio.Hub{}
	p := &brokenPort{Port: must[netio.Port](t)(hub.Port(netip.MustParseAddrPort("10.9.9.1:4791"), false))}
	_, err := unix.Write(p.FD(), []byte{1, 0, 0, 0, 0, 0, 0, 0})
	check(t, err)
	begun := time.Now()
	d := must[*Device](t)(Open(Config{Port: 4791, IO: p}))
	for p.reads.Load() < 5 {
		time.Sleep(time.Millisecond)
	}
	reads, took := p.reads.Load(), time.Since(begun)
	check(t, d.Close())
	if most := 2 + int64(took/portRest); reads > most {
		t.Errorf("%d reads in %v", reads, took)
	}
}

// A queue that lost completions says so, once it has given out what it has.
func TestOverrunIsTold(t *testing.T) {
	d, q, _, _ := target(t)
	cq := must[driver.CQ](t)(d.CreateCQ(2, 0))
	d.mu.Lock()
	for range 5 {
		d.push(d.cqs[cq], driver.WC{QPNum: q.num}, nil, false)
	}
	d.mu.Unlock()
	var wc [4]driver.WC
	if n, err := d.PollCQ(cq, wc[:]); n != 2 || err != nil {
		t.Errorf("polled %d, %v", n, err)
	}
	if n, err := d.PollCQ(cq, wc[:]); n != 0 || !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("then %d, %v", n, err)
	}
	if n, err := d.WaitCQ(t.Context(), cq, wc[:]); n != 0 || !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("waited for %d, %v", n, err)
	}
	if d.count.CQOverruns != 3 || len(d.events) != 1 {
		t.Errorf("%d overruns, %d events", d.count.CQOverruns, len(d.events))
	}
}

// What is posted to a datagram queue pair behind a failure is flushed.
func TestPostsBehindAFailedDatagramAreFlushed(t *testing.T) {
	d, q, _, _ := target(t)
	cq := must[driver.CQ](t)(d.CreateCQ(8, 0))
	info := must[driver.QPInfo](t)(d.CreateQP(q.pd, &driver.QPInitAttr{Type: driver.UD, SendCQ: cq, RecvCQ: cq, Cap: driver.QPCap{MaxSendWR: 4}}))
	for _, s := range []driver.QPState{driver.QPInit, driver.QPRTR, driver.QPRTS} {
		check(t, d.ModifyQP(info.QP, &driver.QPAttr{State: s}, driver.QPMaskState))
	}
	for id := range uint64(2) {
		_, err := d.PostSend(info.QP, []driver.SendWR{{ID: id, Op: driver.OpSend}}) // to nobody
		check(t, err)
	}
	var wc [4]driver.WC
	n, err := d.PollCQ(cq, wc[:])
	check(t, err)
	if n != 2 || wc[0].Status != driver.WCLocQPOpErr || wc[1].Status != driver.WCWRFlushErr || wc[1].ID != 1 {
		t.Errorf("%d completions: %+v", n, wc[:n])
	}
}

// A peer closes the windows that were opened for it, and no registration.
func TestRegistrationsAreNotInvalidated(t *testing.T) {
	d, q, flow, key := target(t)
	d.mu.Lock()
	defer d.mu.Unlock()
	takes(t, d, q, flow, &wire.Packet{BTH: wire.BTH{Opcode: wire.OpSendOnlyInv, PSN: firstPSN}, InvRKey: key})
	if d.keys[key] == nil || !d.keys[key].open() {
		t.Error("the registration has ended")
	}
	if q.state != driver.QPError || q.resp.lastNak != wire.NakRemoteAccess {
		t.Errorf("the queue pair is in %v, %v", q.state, q.resp.lastNak)
	}
}
