// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"maps"
	"net/netip"
	"testing"

	"lazystate/verbs/driver"
	"lazystate/verbs/roce/netio"
	"lazystate/verbs/roce/wire"
)

// party is a device that listens, dials and has accepted, without a thread of its own;
// the fuzzer is its peer, and a stranger who knows all numbers but has another address.
type party struct {
	t     *testing.T
	d     *Device
	side  *side
	l     *listener
	conns [3]*conn // the one that dials, the one that was accepted, and who came since
	from  [2]netip.AddrPort
	flow  [2]wire.Flow
	now   int64
}

const (
	partyPort = 7174
	fromOther = 4 // in a step's aim: it comes from the stranger
)

func newParty(t *testing.T) *party {
	hub := &netio.Hub{}
	port := must[netio.Port](t)(hub.Port(netip.MustParseAddrPort("10.9.9.1:4791"), false))
	d := must[*Device](t)(newDevice(Config{Port: 4791, PeerPort: 4791, MTU: driver.MTU1024}, port))
	close(d.threadDone)
	t.Cleanup(func() { check(t, d.Close()) })
	p := &party{t: t, d: d, side: newSide(t, d, 4096), now: d.now()}
	for i, a := range []string{"10.9.9.2:4791", "10.9.9.3:4791"} {
		p.from[i] = netip.MustParseAddrPort(a)
		p.flow[i] = must[wire.Flow](t)(wire.NewFlow(p.from[i], port.Local()))
	}
	p.l = must[driver.Listener](t)(d.cm.Listen(netip.AddrPortFrom(netip.Addr{}, partyPort), 4)).(*listener)
	c := must[driver.Conn](t)(d.cm.Resolve(t.Context(), netip.Addr{}, netip.AddrPortFrom(p.from[0].Addr(), partyPort)))
	p.conns[0] = c.(*conn)
	d.mu.Lock()
	defer d.mu.Unlock()
	check(t, p.conns[0].ask(p.side.qp, driver.ConnParam{ResponderResources: 4, InitiatorDepth: 4, RetryCount: 7}))
	p.message(0, wire.AttrREQ, p.req(0x1111, strangerQPN, 0), nil)
	p.accept()
	p.conns[1], p.conns[2] = p.conns[2], nil
	return p
}

// accept is the program's: it takes the next request, with a queue pair of its own.
func (p *party) accept() {
	select {
	case c := <-p.l.queue:
		p.conns[2] = c
		if c.state == connREQReceived {
			p.d.mu.Unlock()
			p.side.newQP()
			p.d.mu.Lock()
			_ = c.agree(p.side.qp, driver.ConnParam{ResponderResources: 4, InitiatorDepth: 4}) // the fuzzer's numbers may be no queue pair's
		}
	default:
	}
}

func (p *party) req(id, qpn uint32, who int) *wire.REQ {
	from := p.from[who].Addr()
	r := &wire.REQ{
		LocalCommID: id, ServiceID: wire.NewServiceID(wire.PSTCP, partyPort), LocalQPN: qpn, ResponderResources: 4, InitiatorDepth: 4,
		RetryCount: 7, PKey: wire.DefaultPKey, PathMTU: driver.MTU1024, MaxCMRetries: maxCMRetries, Primary: wire.Path{LocalGID: driver.GIDOf(from), LocalAckTimeout: 17},
	}
	ip := wire.IPHeader{SrcPort: 5555, Src: from, Dst: p.d.Local().Addr()}
	ip.Encode(&r.PrivateData)
	return r
}

// message brings the device a message that the fuzzer has changed some bits of.
func (p *party) message(who int, attr wire.Attr, msg encoder, changes []byte) {
	pkt := wire.Packet{BTH: wire.BTH{Opcode: wire.OpUDSendOnly, PKey: wire.DefaultPKey, DestQP: wire.GSIQPN}, DETH: wire.DETH{QKey: wire.GSIQKey, SrcQP: wire.GSIQPN}}
	pkt.Payload = make([]byte, wire.MADLen)
	data := wire.PutMAD(pkt.Payload, wire.MADHeader{TID: 7, Attr: attr})
	msg.Encode(data)
	for i := range min(len(changes), len(data)) {
		data[i] ^= changes[i]
	}
	p.packet(who, &pkt)
}

func (p *party) packet(who int, pkt *wire.Packet) {
	b := make([]byte, wire.Len(pkt.Opcode, len(pkt.Payload)))
	pkt.Put(b)
	p.flow[who].Seal(b, 0)
	d, sent, before := p.d, p.d.count.CMSent, p.states()
	d.input(&netio.Datagram{Peer: p.from[who], Data: b, Flags: 0x4000}, p.now)
	if n := d.count.CMSent - sent; n > 2 {
		p.t.Fatalf("one packet is answered by %d", n)
	}
	if who == 1 {
		after := p.states()
		maps.DeleteFunc(after, func(c *conn, _ connLook) bool { return before[c] == connLook{} }) // the stranger may ask
		if !maps.Equal(before, after) {
			p.t.Fatalf("a stranger changes connections:\n%+v\n%+v", before, after)
		}
	}
	d.answer()
	d.expire(p.now)
	d.sendTurns(p.now)
	d.tx.flush()
}

// connLook is what nobody but the connection's own peer may change.
type connLook struct {
	id, peerID, peerQPN uint32
	state               connState
	due                 int64
	qp                  driver.QPState
}

// states are the connections that the fuzzer's first address has a part in.
func (p *party) states() map[*conn]connLook {
	m := map[*conn]connLook{}
	for _, c := range p.d.cm.conns {
		if c.path.peer.Addr() != p.from[0].Addr() {
			continue
		}
		look := connLook{id: c.id, peerID: c.peerID, peerQPN: c.peerQPN, state: c.state, due: c.due}
		if c.qp != nil {
			look.qp = c.qp.state
		}
		m[c] = look
	}
	return m
}

// step does one thing: a message of the peer's, or what the program or the clock does.
func (p *party) step(what, aim byte, changes []byte) {
	who, c := int(aim/fromOther%2), (*conn)(nil)
	if i := int(aim % fromOther); i < len(p.conns) {
		c = p.conns[i]
	}
	ids := wire.CommIDs{LocalCommID: 0x9999}
	var qpn uint32
	if c != nil {
		ids = wire.CommIDs{LocalCommID: max(c.peerID, 0x99), RemoteCommID: c.id}
		if c.qp != nil {
			qpn = c.qp.num
		}
	}
	switch what % 12 {
	case 0: // another's request, one more with the accepted one's queue pair, or the accepted one's again
		of := [...][2]uint32{{0x2222, 0x77}, {0x1111, strangerQPN}, {0x3333, strangerQPN}, {0x4444, 0x78}}[aim%fromOther]
		p.message(who, wire.AttrREQ, p.req(of[0], of[1], who), changes)
	case 1:
		p.message(who, wire.AttrMRA, &wire.MRA{CommIDs: ids, ServiceTimeout: 20}, changes)
	case 2:
		p.message(who, wire.AttrREJ, &wire.REJ{CommIDs: ids, Reason: rejectMTU}, changes)
	case 3:
		p.message(who, wire.AttrREP, &wire.REP{CommIDs: ids, LocalQPN: 0x55, StartingPSN: 5, ResponderResources: 4, InitiatorDepth: 4}, changes)
	case 4:
		p.message(who, wire.AttrRTU, &wire.RTU{CommIDs: ids}, changes)
	case 5:
		p.message(who, wire.AttrDREQ, &wire.DREQ{CommIDs: ids, RemoteQPN: qpn}, changes)
	case 6:
		p.message(who, wire.AttrDREP, &wire.DREP{CommIDs: ids}, changes)
	case 7:
		p.message(who, wire.AttrLAP, &wire.RTU{CommIDs: ids}, changes) // which is not for us
	case 8: // as good as an RTU
		if c != nil && c.qp != nil {
			p.packet(who, &wire.Packet{BTH: wire.BTH{Opcode: wire.OpWriteOnly, PKey: wire.DefaultPKey, DestQP: qpn, PSN: c.psn, AckReq: true}})
		}
	case 9:
		p.now = max(p.now, p.d.timers.next())
		p.d.expire(p.now)
	case 10:
		p.accept()
	case 11:
		if c != nil {
			c.disconnect(p.now)
		}
	}
	p.d.tx.flush()
}

// consistent is what must hold between the manager's maps and the queue pairs.
func (p *party) consistent() {
	m := p.d.cm
	for id, c := range m.conns {
		if c.id != id || c.state == connClosed || c.state == connEstablished && (c.qp == nil || c.qp.conn != c || c.qp.state < driver.QPRTS) {
			p.t.Fatalf("connection %#x is %#x, %v, with %+v", id, c.id, c.state, c.qp)
		}
	}
	for key, c := range m.byPeer {
		if c.key != key || m.conns[c.id] != c {
			p.t.Fatalf("%v is a connection that is %v", key, c.state)
		}
	}
	for with, c := range m.made {
		if c.farEnd() != with || m.conns[c.id] != c || c.state < connEstablished {
			p.t.Fatalf("%v has a connection that is %v", with, c.state)
		}
	}
	for n, q := range p.d.qps {
		if q.conn != nil && (q.conn.qp != q || m.conns[q.conn.id] != q.conn) {
			p.t.Fatalf("queue pair %#x has a connection that is %v", n, q.conn.state)
		}
	}
}

// end closes: of everybody who asked, and of every conversation, nothing may remain.
func (p *party) end() {
	m := p.d.cm
	m.close()
	for n := 0; len(m.conns) > 0; n++ {
		next := p.d.timers.next()
		if next == 0 || n > 1000 {
			p.t.Fatalf("%d connections never end", len(m.conns))
		}
		p.now = max(p.now, next)
		p.d.expire(p.now)
		p.d.tx.flush()
	}
	if n := len(m.byPeer) + len(m.made); n != 0 {
		p.t.Fatalf("%d names of connections remain", n)
	}
	for _, c := range p.conns {
		if c != nil && !c.shut {
			p.t.Fatalf("nobody is told that a connection which was %v has ended", c.state)
		}
	}
}

// Whatever a peer that knows the identifiers says, and whenever: every connection is in
// one state that all maps agree on, a stranger changes nothing of others', and in the end
// nothing is left. Each step of the input is what, at whom, and how many bytes of changes.
func FuzzHandshake(f *testing.F) {
	for _, seed := range [][]byte{
		{3, 0, 0, 4, 1, 0, 5, 0, 0, 5, 1, 0},                                               // both are made, and end
		{8, 1, 0, 0, 0, 0, 10, 0, 0, 4, 2, 0, 0, 2},                                        // a packet for an RTU; another's request
		{4, 1, 0, 0, 2, 0, 6, 1, 0, 9, 0, 0, 9, 0, 0},                                      // a stale connection
		{0, 1, 0, 0, 4, 0, 10, 4, 0, 5, 6, 0, 2, 4, 0, 3, 4, 0, 4, 5, 0, 5, 5, 0, 1, 4, 0}, // the stranger tries everything
		{2, 0, 0, 9, 0, 0, 3, 0, 0, 11, 0, 0, 6, 0, 0, 11, 1, 0, 1, 1, 0},                  // asked again with another MTU, and ended by us
		{0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 1, 10, 0, 0, 2, 3, 0, 7, 0, 0},                   // a request for no known service
		{9, 0, 0, 9, 0, 0, 9, 0, 0, 9, 0, 0, 9, 0, 0, 9, 0, 0, 9, 0, 0, 9, 0, 0, 9, 0, 0, 9, 0, 0, 9, 0, 0, 9, 0, 0, 3, 0, 0, 4, 1, 0},
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p := newParty(t)
		p.d.mu.Lock()
		defer p.d.mu.Unlock()
		for n := 0; len(b) > 2 && n < 64; n++ {
			end := min(3+int(b[2]), len(b))
			p.step(b[0], b[1], b[3:end])
			p.consistent()
			b = b[end:]
		}
		p.end()
	})
}
