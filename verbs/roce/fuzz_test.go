// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"net/netip"
	"testing"

	"lazystate/verbs/driver"
	"lazystate/verbs/roce/netio"
	"lazystate/verbs/roce/wire"
)

// target is a connected device whose peer is the fuzzer, without a thread of its own.
func target(t testing.TB) (*Device, *queuePair, *wire.Flow, uint32) {
	t.Helper()
	hub := &netio.Hub{}
	port := must[netio.Port](t)(hub.Port(netip.MustParseAddrPort("10.9.9.1:4791"), false))
	d := must[*Device](t)(newDevice(Config{Port: 4791, PeerPort: 4791, MTU: driver.MTU256}, port))
	close(d.threadDone)
	t.Cleanup(func() { check(t, d.Close()) })
	s := newSide(t, d, 8192)
	q := d.qps[uint32(s.qp)]
	const all = driver.QPMaskState | driver.QPMaskAccess | driver.QPMaskAV | driver.QPMaskPathMTU | driver.QPMaskDestQPN | driver.QPMaskRQPSN |
		driver.QPMaskSQPSN | driver.QPMaskMaxRdAtomic | driver.QPMaskMaxDestRdAtomic | driver.QPMaskTimeout | driver.QPMaskRetry
	a := driver.QPAttr{
		Access: remoteAccess, PathMTU: driver.MTU256, DestQPN: 7, AV: driver.AHAttr{DGID: driver.GIDOf(netip.MustParseAddr("10.9.9.2"))},
		RQPSN: 0xfffffe, SQPSN: 0xfffffd, MaxRdAtomic: 4, MaxDestRdAtomic: 4, Timeout: 14, RetryCount: 7,
	}
	for _, a.State = range []driver.QPState{driver.QPInit, driver.QPRTR, driver.QPRTS} {
		check(t, d.ModifyQP(s.qp, &a, all))
	}
	for i := range 4 {
		s.recv(1024*i, 600)
	}
	s.op(driver.OpRDMAWrite, 0, 700, s)
	s.op(driver.OpRDMARead, 0, 700, s)
	s.op(driver.OpAtomicFetchAndAdd, 0, 8, s)
	s.op(driver.OpSend, 0, 10, s)
	flow := must[wire.Flow](t)(wire.NewFlow(netip.MustParseAddrPort("10.9.9.2:4791"), port.Local()))
	return d, q, &flow, s.mr.RKey
}

// Whatever a peer that knows its connection's numbers sends, right checksum and
// all, the device stands, and stays within its memory.
func FuzzPeer(f *testing.F) {
	add := func(ps ...wire.Packet) {
		var b []byte
		for _, p := range ps {
			p.PKey = wire.DefaultPKey
			pkt := make([]byte, wire.Len(p.Opcode, len(p.Payload)))
			p.Put(pkt)
			b = append(append(b, byte(len(pkt)/4)), pkt...)
		}
		f.Add(b)
	}
	reth := wire.RETH{VA: 0x10000, Len: 300}
	add(wire.Packet{BTH: wire.BTH{Opcode: wire.OpSendFirst, PSN: 0xfffffe}, Payload: make([]byte, 256)},
		wire.Packet{BTH: wire.BTH{Opcode: wire.OpSendLastImm, PSN: 0xffffff, AckReq: true}, Payload: make([]byte, 9)},
		wire.Packet{BTH: wire.BTH{Opcode: wire.OpReadRequest, PSN: 0}, RETH: reth})
	add(wire.Packet{BTH: wire.BTH{Opcode: wire.OpWriteFirst, PSN: 0xfffffe}, RETH: reth, Payload: make([]byte, 256)},
		wire.Packet{BTH: wire.BTH{Opcode: wire.OpWriteLast, PSN: 0xffffff, AckReq: true}, Payload: make([]byte, 44)},
		wire.Packet{BTH: wire.BTH{Opcode: wire.OpFetchAdd, PSN: 0}, Atomic: wire.AtomicETH{VA: 0x10000, SwapAdd: 1}})
	add(wire.Packet{BTH: wire.BTH{Opcode: wire.OpAcknowledge, PSN: 0xffffff}, AETH: wire.AETH{Syndrome: wire.Ack}},
		wire.Packet{BTH: wire.BTH{Opcode: wire.OpReadResponseFirst, PSN: 0}, AETH: wire.AETH{Syndrome: wire.Ack}, Payload: make([]byte, 256)},
		wire.Packet{BTH: wire.BTH{Opcode: wire.OpAcknowledge, PSN: 1}, AETH: wire.AETH{Syndrome: wire.NakPSNSequence}},
		wire.Packet{BTH: wire.BTH{Opcode: wire.OpAtomicAcknowledge, PSN: 3}, AETH: wire.AETH{Syndrome: wire.RNRNak(1)}})
	mad := make([]byte, wire.MADLen)
	(&wire.REQ{LocalCommID: 1, PathMTU: driver.MTU256}).Encode(wire.PutMAD(mad, wire.MADHeader{Attr: wire.AttrREQ}))
	add(wire.Packet{BTH: wire.BTH{Opcode: wire.OpUDSendOnly, DestQP: wire.GSIQPN}, DETH: wire.DETH{QKey: wire.GSIQKey, SrcQP: 1}, Payload: mad})
	f.Fuzz(func(t *testing.T, b []byte) {
		d, q, flow, key := target(t)
		for n := 0; len(b) > 1 && n < 64; n++ {
			size := min(4*int(b[0]), len(b)-1)
			pkt := append([]byte(nil), b[1:1+size]...)
			b = b[1+size:]
			aim(pkt, q.num, key)
			if len(pkt) >= wire.BTHLen+wire.ICRCLen {
				flow.Seal(pkt, 0)
			}
			d.mu.Lock()
			now := d.now()
			d.input(&netio.Datagram{Peer: netip.MustParseAddrPort("10.9.9.2:4791"), Data: pkt, Flags: 0x4000}, now)
			d.answer()
			d.expire(now)
			d.sendTurns(now)
			d.tx.flush()
			checkQueue(t, q)
			d.mu.Unlock()
		}
	})
}

// aim fills in what a fuzzer would never guess: the queue pair and the key.
func aim(pkt []byte, qpn, key uint32) {
	if len(pkt) < wire.BTHLen {
		return
	}
	if pkt[7] != wire.GSIQPN {
		pkt[5], pkt[6], pkt[7] = byte(qpn>>16), byte(qpn>>8), byte(qpn)
	}
	op := wire.Opcode(pkt[0])
	if op.Is(wire.PropRETH) || op.Is(wire.PropAtomicETH) {
		if len(pkt) >= 24 && pkt[20] == 0 {
			pkt[20], pkt[21], pkt[22], pkt[23] = byte(key>>24), byte(key>>16), byte(key>>8), byte(key)
		}
	}
}

// checkQueue is what must hold after every packet.
func checkQueue(t *testing.T, q *queuePair) {
	t.Helper()
	r := &q.req
	switch {
	case r.head > r.cur || r.cur > r.tail || r.tail-r.head > uint64(len(r.ring)):
		t.Fatalf("requests %d to %d, at %d", r.head, r.tail, r.cur)
	case r.nxt.Less(r.una):
		t.Fatalf("una %#x, nxt %#x", r.una, r.nxt)
	case r.reads < 0 || r.readBytes < 0 || q.d.readBytes < r.readBytes:
		t.Fatalf("%d reads, %d bytes of %d", r.reads, r.readBytes, q.d.readBytes)
	case len(q.resp.jobs) > maxJobs:
		t.Fatalf("%d answers owed", len(q.resp.jobs))
	}
}
