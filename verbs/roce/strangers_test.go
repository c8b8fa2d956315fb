// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"math"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lazystate/internal/seqnum"
	"lazystate/verbs/driver"
	"lazystate/verbs/roce/netio"
	"lazystate/verbs/roce/wire"
)

// Who knows all numbers of a connection and is not its peer, and whoever damages
// what the peer sends, changes nothing and is counted.
func TestPacketsOfStrangersAreDropped(t *testing.T) {
	const peer, stranger = "10.9.9.2:4791", "10.9.9.3:4791"
	write := func(p *wire.Packet) { p.Opcode = wire.OpWriteOnly }
	for _, c := range []struct {
		name   string
		from   string
		packet func(*wire.Packet)
		bytes  func([]byte) []byte // after the checksum
		counts func(*Counters) *uint64
	}{
		{"the peer", peer, write, nil, nil},
		{"another address", stranger, write, nil, func(c *Counters) *uint64 { return &c.BadSource }},
		{"damaged", peer, write, func(b []byte) []byte { b[len(b)-9] ^= 0x10; return b }, func(c *Counters) *uint64 { return &c.ICRCErrors }},
		{"another key in the header", peer, write, func(b []byte) []byte { b[23] ^= 1; return b }, func(c *Counters) *uint64 { return &c.ICRCErrors }},
		{"cut", peer, write, func(b []byte) []byte { return b[:20] }, func(c *Counters) *uint64 { return &c.Malformed[wire.ErrTruncated] }},
		{"another partition", peer, func(p *wire.Packet) { write(p); p.PKey = 0x8001 }, nil, func(c *Counters) *uint64 { return &c.BadPKey }},
		{"another number", peer, func(p *wire.Packet) { write(p); p.DestQP ^= 0x800000 }, nil, func(c *Counters) *uint64 { return &c.NoQP }},
		{"a datagram", peer, func(p *wire.Packet) { p.Opcode = wire.OpUDSendOnly }, nil, func(c *Counters) *uint64 { return &c.NoQP }},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, q, _, key := target(t)
			p := wire.Packet{
				BTH:     wire.BTH{PKey: wire.DefaultPKey, DestQP: q.num, PSN: seqnum.NewPSN(0xfffffe), AckReq: true},
				RETH:    wire.RETH{VA: 0x10000 + 2048, RKey: key, Len: 8},
				Payload: []byte("written!"),
			}
			c.packet(&p)
			pkt := make([]byte, wire.Len(p.Opcode, len(p.Payload)))
			p.Put(pkt)
			from := netip.MustParseAddrPort(c.from)
			flow := must[wire.Flow](t)(wire.NewFlow(from, d.port.Local()))
			flow.Seal(pkt, 0)
			if c.bytes != nil {
				pkt = c.bytes(pkt)
			}
			want := d.Counters()
			if c.counts != nil {
				*c.counts(&want)++
			} else {
				want.RecvPackets++
			}
			d.mu.Lock()
			d.input(&netio.Datagram{Peer: from, Data: pkt, Flags: 0x4000}, d.now())
			got := string(d.keys[key].slice(0x10000+2048, 8))
			d.mu.Unlock()
			if written := got == "written!"; written != (c.counts == nil) {
				t.Errorf("the memory is %q", got)
			}
			if diff := cmp.Diff(want, d.Counters()); diff != "" {
				t.Errorf("counters (-want +got):\n%s", diff)
			}
		})
	}
}

// Handles come round after four billion objects, and leave out what lives.
func TestHandlesComeRound(t *testing.T) {
	d, q, _, key := target(t)
	lives := d.keys[key].handle
	d.lastHandle = uint32(lives) - 1
	mr := must[driver.MRInfo](t)(d.RegHandler(q.pd, &gatekeeper{}, 0, 8, 0))
	d.lastHandle = math.MaxUint32
	pd := must[driver.PD](t)(d.AllocPD())
	if mr.MR == lives || d.mrs[lives] != d.keys[key] || pd == 0 || pd == q.pd {
		t.Errorf("MR %d beside %d, PD %d beside %d", mr.MR, lives, pd, q.pd)
	}
}

// Queue pairs' numbers, packet sequence numbers and keys are drawn from all that
// there are: a hundred of them are not alike, and not near each other.
func TestNumbersAreDrawn(t *testing.T) {
	hub := &netio.Hub{}
	d := must[*Device](t)(newDevice(Config{}, must[netio.Port](t)(hub.Port(netip.MustParseAddrPort("10.9.9.1:4791"), false))))
	close(d.threadDone)
	t.Cleanup(func() { check(t, d.Close()) })
	s := newSide(t, d, 4096)
	seen := map[string]map[uint32]bool{"qp": {}, "key": {}, "any": {}}
	tops := map[string]map[uint32]bool{"qp": {}, "key": {}, "any": {}}
	for range 100 {
		s.newQP()
		mr := must[driver.MRInfo](t)(d.RegMR(s.pd, s.mem, 0, remoteAccess|driver.AccessLocalWrite))
		for kind, n := range map[string]uint32{"qp": d.qps[uint32(s.qp)].num << 8, "key": mr.RKey, "any": random32()} {
			seen[kind][n], tops[kind][n>>24] = true, true
		}
	}
	for kind := range seen {
		if len(seen[kind]) < 99 || len(tops[kind]) < 40 {
			t.Errorf("%s: %d different ones of 100, with %d first bytes", kind, len(seen[kind]), len(tops[kind]))
		}
	}
}
