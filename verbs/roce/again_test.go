// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"net/netip"
	"testing"

	"lazystate/internal/seqnum"
	"lazystate/verbs/driver"
	"lazystate/verbs/roce/netio"
	"lazystate/verbs/roce/wire"
)

// firstPSN is what the target of a test expects first.
const firstPSN = seqnum.PSN(0xfffffe)

// takes lets a target have one packet of its peer's; d is locked.
func takes(t *testing.T, d *Device, q *queuePair, flow *wire.Flow, p *wire.Packet) {
	t.Helper()
	p.PKey, p.DestQP = wire.DefaultPKey, q.num
	pkt := make([]byte, wire.Len(p.Opcode, len(p.Payload)))
	p.Put(pkt)
	flow.Seal(pkt, 0)
	d.input(&netio.Datagram{Peer: netip.MustParseAddrPort("10.9.9.2:4791"), Data: pkt, Flags: 0x4000}, d.now())
}

// gatekeeper lets the first of its two halves be read, and notes what was.
type gatekeeper struct {
	driver.Handler
	asked int
	read  []uint64
}

func (g *gatekeeper) AdmitRead(_ driver.QP, off, n uint64) error {
	g.asked++
	if off+n > 2048 {
		return driver.ErrNoAnswer
	}
	return nil
}

func (g *gatekeeper) RemoteRead(_ driver.QP, off uint64, dst []byte) error {
	g.read = append(g.read, off)
	return nil
}

// A READ with a number of the past is not asked about at the gate: so it gets
// what it got then, or the rest of that, and nothing else.
func TestRepeatedReadsPassNoGate(t *testing.T) {
	d, q, flow, _ := target(t)
	g := &gatekeeper{}
	mr := must[driver.MRInfo](t)(d.RegHandler(q.pd, g, 0, 4096, driver.AccessRemoteRead))
	d.mu.Lock()
	defer d.mu.Unlock()
	read := func(psn seqnum.PSN, va uint64, n uint32) []uint64 {
		g.read = nil
		takes(t, d, q, flow, &wire.Packet{BTH: wire.BTH{Opcode: wire.OpReadRequest, PSN: psn}, RETH: wire.RETH{VA: va, RKey: mr.RKey, Len: n}})
		d.answer()
		d.tx.flush()
		return g.read
	}
	if got := read(firstPSN, 256, 700); len(got) != 3 || g.asked != 1 {
		t.Fatalf("read at %v, the gate was asked %d times", got, g.asked)
	}
	for _, c := range []struct {
		what string
		psn  seqnum.PSN
		va   uint64
		n    uint32
		want int // packets
	}{
		{"the same", firstPSN, 256, 700, 3},
		{"the rest of it", firstPSN.Add(1), 512, 444, 2},
		{"less of the rest", firstPSN.Add(1), 512, 100, 1},
		{"another place", firstPSN, 0, 700, 0},
		{"the other half", firstPSN, 3000, 256, 0},
		{"the rest, elsewhere", firstPSN.Add(1), 256, 444, 0},
		{"more than it was", firstPSN.Add(2), 768, 189, 0},
		{"before all", firstPSN.Add(-1), 256, 256, 0},
	} {
		if got := read(c.psn, c.va, c.n); len(got) != c.want || len(got) > 0 && got[0] != c.va {
			t.Errorf("%s: read at %v, want %d packets", c.what, got, c.want)
		}
	}
	if g.asked != 1 {
		t.Errorf("the gate was asked %d times", g.asked)
	}
}

// Numbers come round after 16 million packets, and few atomics may lie between.
func TestTheNewestAtomicIsRepeated(t *testing.T) {
	var l atomicLog
	for i := range 5 {
		l.add(seqnum.PSN(7), uint64(i))
		l.add(seqnum.PSN(100+i), 99)
	}
	if old, ok := l.find(7); !ok || old != 4 {
		t.Errorf("found %d, %v", old, ok)
	}
	for i := range 2 * maxRdAtomic {
		l.add(seqnum.PSN(1000+i), uint64(i))
	}
	if _, ok := l.find(7); ok {
		t.Error("found what fell out")
	}
	if old, ok := l.find(1000 + 2*maxRdAtomic - 1); !ok || old != 2*maxRdAtomic-1 {
		t.Errorf("the last: %d, %v", old, ok)
	}
}
