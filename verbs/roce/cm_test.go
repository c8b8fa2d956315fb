// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/seqnum"
	"lazystate/verbs/driver"
	"lazystate/verbs/roce/netio"
	"lazystate/verbs/roce/wire"
)

// stranger is a peer made by hand: it speaks the connection manager's messages one
// by one, in and out of order.
type stranger struct {
	t    *testing.T
	port netio.Port
	to   *Device
	flow wire.Flow
	had  []heard
}

// heard is a message of the device's.
type heard struct {
	wire.MADHeader
	data wire.CMData
}

const strangerQPN = 0x4321

// meet opens a device and a stranger on one network.
func meet(t *testing.T, c Config) (*Device, *stranger) {
	t.Helper()
	hub := &netio.Hub{}
	c.Port = 4791
	c.IO = must[netio.Port](t)(hub.Port(netip.MustParseAddrPort("10.9.9.1:4791"), true))
	d := must[*Device](t)(Open(c))
	t.Cleanup(func() { check(t, d.Close()) })
	s := &stranger{t: t, to: d, port: must[netio.Port](t)(hub.Port(netip.MustParseAddrPort("10.9.9.2:4791"), false))}
	t.Cleanup(func() { check(t, s.port.Close()) })
	s.flow = must[wire.Flow](t)(wire.NewFlow(s.port.Local(), d.Local()))
	return d, s
}

// send sends one message.
func (s *stranger) send(tid uint64, attr wire.Attr, msg encoder) {
	s.t.Helper()
	p := wire.Packet{BTH: wire.BTH{Opcode: wire.OpUDSendOnly, PKey: wire.DefaultPKey, DestQP: wire.GSIQPN}, DETH: wire.DETH{QKey: wire.GSIQKey, SrcQP: wire.GSIQPN}}
	p.Payload = make([]byte, wire.MADLen)
	msg.Encode(wire.PutMAD(p.Payload, wire.MADHeader{TID: tid, Attr: attr}))
	s.packet(&p)
}

func (s *stranger) packet(p *wire.Packet) {
	s.t.Helper()
	b := make([]byte, wire.Len(p.Opcode, len(p.Payload)))
	p.Put(b)
	s.flow.Seal(b, 0)
	_, err := s.port.Send([]netio.Datagram{{Peer: s.to.Local(), Data: b}})
	check(s.t, err)
}

// hears waits for the device's next message, which must be of the kind. One of
// another kind that was heard before may come in between: a stranger who has not
// answered it within 200 ms is sent it again.
func (s *stranger) hears(attr wire.Attr, into interface{ Decode(*wire.CMData) }) wire.MADHeader {
	s.t.Helper()
	for {
		h, data := s.next()
		m := heard{h, *data}
		again := slices.Contains(s.had, m)
		s.had = append(s.had, m)
		switch {
		case h.Attr == attr:
			into.Decode(data)
			return h
		case !again:
			s.t.Fatalf("heard %v, want %v", h.Attr, attr)
		}
	}
}

func (s *stranger) next() (wire.MADHeader, *wire.CMData) {
	s.t.Helper()
	var ds [1]netio.Datagram
	for {
		fds := []unix.PollFd{{Fd: int32(s.port.FD()), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, int(patience.Milliseconds())); n == 0 && err == nil {
			s.t.Fatal("the device says nothing")
		}
		n, err := s.port.Recv(ds[:])
		check(s.t, err)
		if n == 0 {
			continue
		}
		var p wire.Packet
		check(s.t, p.Parse(ds[0].Data))
		h, data, err := wire.ParseMAD(p.Payload)
		check(s.t, err)
		return h, data
	}
}

// req is a request as the kernel's rdma_cm makes it.
func (s *stranger) req(id uint32, port uint16) *wire.REQ {
	r := &wire.REQ{
		LocalCommID: id, ServiceID: wire.NewServiceID(wire.PSTCP, port), LocalCAGUID: 7, LocalQPN: strangerQPN, ResponderResources: 4, InitiatorDepth: 3,
		StartingPSN: 0xabcdef, RetryCount: 7, RNRRetryCount: 7, PKey: wire.DefaultPKey, PathMTU: driver.MTU1024, MaxCMRetries: 15,
		Primary: wire.Path{LocalGID: driver.GIDOf(s.port.Local().Addr()), RemoteGID: driver.GIDOf(s.to.Local().Addr()), LocalAckTimeout: 17},
	}
	ip := wire.IPHeader{SrcPort: 5555, Src: s.port.Local().Addr(), Dst: s.to.Local().Addr()}
	ip.Encode(&r.PrivateData)
	copy(r.PrivateData[wire.IPHeaderLen:], "please")
	return r
}

// asked is a device that got a request.
func asked(t *testing.T) (*side, *stranger, driver.Listener, driver.Conn) {
	t.Helper()
	d, s := meet(t, Config{MTU: driver.MTU1024})
	me := newSide(t, d, 4096)
	l := must[driver.Listener](t)(d.cm.Listen(netip.AddrPort{}, 4))
	t.Cleanup(func() { check(t, l.Close()) })
	s.send(77, wire.AttrREQ, s.req(0x1111, l.Addr().Port()))
	c := must[driver.Conn](t)(l.Accept(me.ctx))
	return me, s, l, c
}

// accept lets the device reply, in the background, and returns its REP.
func accept(me *side, s *stranger, c driver.Conn) (wire.REP, chan error) {
	s.t.Helper()
	done := make(chan error, 1)
	go func() {
		done <- c.Accept(me.ctx, me.qp, driver.ConnParam{ResponderResources: 3, InitiatorDepth: 9, Private: []byte("welcome")})
	}()
	var rep wire.REP
	if h := s.hears(wire.AttrREP, &rep); h.TID != 77 {
		s.t.Errorf("transaction %d, the request's is 77", h.TID)
	}
	return rep, done
}

func (s *stranger) rtu(rep *wire.REP) {
	s.send(77, wire.AttrRTU, &wire.RTU{CommIDs: wire.CommIDs{LocalCommID: rep.RemoteCommID, RemoteCommID: rep.LocalCommID}})
}

func TestPassiveSide(t *testing.T) {
	me, s, _, c := asked(t)
	if p := c.Request(); string(p.Private[:6]) != "please" || len(p.Private) != driver.MaxRequestPrivate || p.ResponderResources != 4 || p.InitiatorDepth != 3 {
		t.Errorf("request %+v", p)
	}
	if c.Remote() != netip.MustParseAddrPort("10.9.9.2:5555") {
		t.Errorf("from %v", c.Remote())
	}
	rep, done := accept(me, s, c)
	if rep.RemoteCommID != 0x1111 || rep.LocalQPN != uint32(me.qp) || !bytes.HasPrefix(rep.PrivateData[:], []byte("welcome\x00")) {
		t.Errorf("%+v", rep)
	}
	s.rtu(&rep)
	check(t, <-done)
	a := must[driver.QPAttr](t)(me.d.QueryQP(me.qp))
	want := driver.QPAttr{State: driver.QPRTS, RQPSN: uint32(rep.StartingPSN), SQPSN: 0xabcdef, DestQPN: strangerQPN, MaxRdAtomic: 4, PathMTU: driver.MTU1024, Timeout: 17}
	if a.State != want.State || a.RQPSN != want.RQPSN || a.SQPSN != want.SQPSN || a.DestQPN != want.DestQPN || a.MaxRdAtomic != want.MaxRdAtomic || a.PathMTU != want.PathMTU || a.Timeout != want.Timeout {
		t.Errorf("queue pair %+v, want %+v", a, want)
	}
}

// 12.9.7: a repeated REQ gets the same answer, and while there is none, an MRA.
func TestRepeatedREQ(t *testing.T) {
	me, s, l, c := asked(t)
	s.send(77, wire.AttrREQ, s.req(0x1111, l.Addr().Port()))
	var mra wire.MRA
	s.hears(wire.AttrMRA, &mra)
	first, done := accept(me, s, c)
	s.send(77, wire.AttrREQ, s.req(0x1111, l.Addr().Port()))
	var again wire.REP
	if s.hears(wire.AttrREP, &again); again != first {
		t.Errorf("another reply: %+v, %+v", again, first)
	}
	s.rtu(&first)
	check(t, <-done)
}

// An RTU may be lost: the first packet proves as much.
func TestFirstPacketIsAsGoodAsAnRTU(t *testing.T) {
	me, s, _, c := asked(t)
	rep, done := accept(me, s, c)
	s.packet(&wire.Packet{BTH: wire.BTH{Opcode: wire.OpWriteOnly, PKey: wire.DefaultPKey, DestQP: rep.LocalQPN, PSN: rep.StartingPSN, AckReq: true}})
	check(t, <-done)
}

// A REP that nobody answers is sent again, and given up in the end.
func TestREPIsRepeated(t *testing.T) {
	me, s, _, c := asked(t)
	rep, done := accept(me, s, c)
	var again wire.REP
	if s.hears(wire.AttrREP, &again); again != rep {
		t.Errorf("%+v, %+v", again, rep)
	}
	s.send(77, wire.AttrREJ, &wire.REJ{CommIDs: wire.CommIDs{LocalCommID: 0x1111, RemoteCommID: rep.LocalCommID}, MessageRejected: wire.AboutREP, Reason: driver.RejectTimeout})
	var rej *driver.RejectError
	if err := <-done; !errors.As(err, &rej) || rej.Reason != driver.RejectTimeout {
		t.Errorf("accept: %v", err)
	}
}

// Requests that are refused, each for its reason.
func TestRefusedRequests(t *testing.T) {
	d, s := meet(t, Config{MTU: driver.MTU1024})
	l := must[driver.Listener](t)(d.cm.Listen(netip.AddrPort{}, 1))
	defer l.Close()
	port := l.Addr().Port()
	for i, c := range []struct {
		name   string
		change func(*wire.REQ)
		want   driver.RejectReason
	}{
		{"nobody listens", func(r *wire.REQ) { r.ServiceID = wire.NewServiceID(wire.PSTCP, port^1) }, driver.RejectInvalidServiceID},
		{"another port space", func(r *wire.REQ) { r.ServiceID = wire.NewServiceID(wire.PSUDP, port) }, driver.RejectInvalidServiceID},
		{"no IP header", func(r *wire.REQ) { r.PrivateData[1] = 0x70 }, driver.RejectInvalidServiceID},
		{"another transport", func(r *wire.REQ) { r.TransportService = 1 }, driver.RejectInvalidTransport},
		{"for somebody else", func(r *wire.REQ) { r.Primary.LocalGID[15]++ }, driver.RejectUnsupported},
		{"MTU too large", func(r *wire.REQ) { r.PathMTU = driver.MTU4096 }, rejectMTU},
		{"no MTU", func(r *wire.REQ) { r.PathMTU = 0 }, rejectMTU},
	} {
		r := s.req(uint32(100+i), port)
		c.change(r)
		s.send(uint64(i), wire.AttrREQ, r)
		var rej wire.REJ
		if s.hears(wire.AttrREJ, &rej); rej.Reason != c.want || rej.RemoteCommID != r.LocalCommID {
			t.Errorf("%s: reason %d about %#x, want %d", c.name, rej.Reason, rej.RemoteCommID, c.want)
		}
		if c.want == rejectMTU && (rej.InfoLength != 1 || driver.MTU(rej.ARI[0]) != driver.MTU1024) {
			t.Errorf("%s: does not say which: %d bytes, %d", c.name, rej.InfoLength, rej.ARI[0])
		}
	}
	s.send(1, wire.AttrREQ, s.req(1, port)) // fills the backlog
	s.send(2, wire.AttrREQ, s.req(2, port))
	var rej wire.REJ
	if s.hears(wire.AttrREJ, &rej); rej.Reason != driver.RejectNoResources || rej.RemoteCommID != 2 {
		t.Errorf("behind a full backlog: %+v", rej)
	}
}

// Who is refused, and does not hear it, asks again and again: he is the same.
func TestRefusalsAreRemembered(t *testing.T) {
	hub := &netio.Hub{}
	d := must[*Device](t)(newDevice(Config{Port: 4791, PeerPort: 4791}, must[netio.Port](t)(hub.Port(netip.MustParseAddrPort("10.9.9.1:4791"), false))))
	close(d.threadDone)
	t.Cleanup(func() { check(t, d.Close()) })
	s := &stranger{t: t, to: d, port: must[netio.Port](t)(hub.Port(netip.MustParseAddrPort("10.9.9.2:4791"), false))}
	t.Cleanup(func() { check(t, s.port.Close()) })
	d.mu.Lock()
	defer d.mu.Unlock()
	var first *conn
	for now := int64(1); now < 5*timewait; now += timewait * 3 / 4 {
		d.expire(now)
		d.cm.onREQ(&wire.MADHeader{TID: 7}, s.req(0x1111, 7174), s.port.Local().Addr(), now)
		d.tx.flush()
		for _, c := range d.cm.conns {
			if first == nil {
				first = c
			}
			if c != first {
				t.Fatalf("after %v he is another", time.Duration(now))
			}
		}
	}
	if d.expire(d.now() + 10*timewait); len(d.cm.conns) != 0 {
		t.Error("never forgotten")
	}
}

// 12.9.8.3.1: a request from a queue pair that is connected already.
func TestStaleConnection(t *testing.T) {
	me, s, l, c := asked(t)
	rep, done := accept(me, s, c)
	s.rtu(&rep)
	check(t, <-done)
	s.send(78, wire.AttrREQ, s.req(0x2222, l.Addr().Port()))
	var dreq wire.DREQ
	s.hears(wire.AttrDREQ, &dreq)
	var rej wire.REJ
	if s.hears(wire.AttrREJ, &rej); rej.Reason != driver.RejectStaleConn || dreq.RemoteQPN != strangerQPN {
		t.Errorf("%+v, %+v", rej, dreq)
	}
	<-c.Done()
	s.send(79, wire.AttrREQ, s.req(0x3333, l.Addr().Port()))
	must[driver.Conn](t)(l.Accept(me.ctx))
}

func TestDREQ(t *testing.T) {
	me, s, _, c := asked(t)
	rep, done := accept(me, s, c)
	s.rtu(&rep)
	check(t, <-done)
	ids := wire.CommIDs{LocalCommID: 0x1111, RemoteCommID: rep.LocalCommID}
	s.send(80, wire.AttrDREQ, &wire.DREQ{CommIDs: ids, RemoteQPN: rep.LocalQPN ^ 1}) // not ours
	for range 2 {
		s.send(81, wire.AttrDREQ, &wire.DREQ{CommIDs: ids, RemoteQPN: rep.LocalQPN})
		var drep wire.DREP
		if h := s.hears(wire.AttrDREP, &drep); h.TID != 81 || drep.RemoteCommID != 0x1111 {
			t.Errorf("%+v, %+v", h, drep)
		}
	}
	<-c.Done()
	if a := must[driver.QPAttr](t)(me.d.QueryQP(me.qp)); a.State != driver.QPError {
		t.Errorf("the queue pair is in %v", a.State)
	}
	s.send(82, wire.AttrDREQ, &wire.DREQ{CommIDs: wire.CommIDs{LocalCommID: 5, RemoteCommID: 6}})
	var drep wire.DREP
	if s.hears(wire.AttrDREP, &drep); drep.RemoteCommID != 5 {
		t.Errorf("about a connection that is long gone: %+v", drep)
	}
}

// dialing is a device that sent a request, and where its result comes.
func dialing(t *testing.T, mtu driver.MTU) (*side, *stranger, wire.REQ, wire.MADHeader, chan error) {
	t.Helper()
	d, s := meet(t, Config{MTU: mtu})
	me := newSide(t, d, 4096)
	me.conn = must[driver.Conn](t)(d.cm.Resolve(me.ctx, netip.Addr{}, netip.MustParseAddrPort("10.9.9.2:7174")))
	done := make(chan error, 1)
	go func() {
		reply, err := me.conn.Connect(me.ctx, me.qp, driver.ConnParam{InitiatorDepth: 16, ResponderResources: 2, RetryCount: 5, Private: []byte("hello")})
		if err == nil && (reply.ResponderResources != 6 || !bytes.HasPrefix(reply.Private, []byte("yes"))) {
			t.Errorf("reply %+v", reply)
		}
		done <- err
	}()
	var req wire.REQ
	h := s.hears(wire.AttrREQ, &req)
	return me, s, req, h, done
}

func yes(req *wire.REQ) *wire.REP {
	rep := &wire.REP{CommIDs: wire.CommIDs{LocalCommID: 0x9999, RemoteCommID: req.LocalCommID}, LocalQPN: strangerQPN, StartingPSN: 0x123456, ResponderResources: 6, InitiatorDepth: 1}
	copy(rep.PrivateData[:], "yes")
	return rep
}

func TestActiveSide(t *testing.T) {
	me, s, req, h, done := dialing(t, driver.MTU2048)
	ip, err := wire.DecodeIPHeader(&req.PrivateData)
	check(t, err)
	if _, port, _ := req.ServiceID.Port(); port != 7174 || ip.Src != me.d.Local().Addr() || ip.Dst != s.port.Local().Addr() || !bytes.HasPrefix(req.PrivateData[wire.IPHeaderLen:], []byte("hello\x00")) {
		t.Errorf("%+v, %+v", req, ip)
	}
	var again wire.REQ // not answered, so repeated
	if h2 := s.hears(wire.AttrREQ, &again); again != req || h2 != h {
		t.Error("another request the second time")
	}
	for range 2 { // an RTU that was lost is sent again for a REP that is
		s.send(h.TID, wire.AttrREP, yes(&req))
		var rtu wire.RTU
		if s.hears(wire.AttrRTU, &rtu); rtu.RemoteCommID != 0x9999 || rtu.LocalCommID != req.LocalCommID {
			t.Errorf("%+v", rtu)
		}
	}
	check(t, <-done)
	a := must[driver.QPAttr](t)(me.d.QueryQP(me.qp))
	if a.State != driver.QPRTS || seqnum.PSN(a.RQPSN) != req.StartingPSN || a.SQPSN != 0x123456 || a.MaxRdAtomic != 6 || a.RetryCount != 5 || a.MaxDestRdAtomic != 2 {
		t.Errorf("queue pair %+v", a)
	}
}

func TestActiveSideIsRefused(t *testing.T) {
	_, s, req, h, done := dialing(t, driver.MTU1024)
	rej := &wire.REJ{CommIDs: wire.CommIDs{RemoteCommID: req.LocalCommID}, Reason: driver.RejectConsumer}
	copy(rej.PrivateData[:], "no")
	s.send(h.TID, wire.AttrREJ, rej)
	var got *driver.RejectError
	if err := <-done; !errors.As(err, &got) || got.Reason != driver.RejectConsumer || !bytes.HasPrefix(got.Private, []byte("no\x00")) {
		t.Errorf("%v", err)
	}
}

// A peer whose MTU is smaller says which, and is asked again with that.
func TestMTUIsAgreedOn(t *testing.T) {
	me, s, req, h, done := dialing(t, driver.MTU4096)
	if req.PathMTU != driver.MTU4096 {
		t.Fatalf("MTU %v", req.PathMTU)
	}
	rej := &wire.REJ{CommIDs: wire.CommIDs{RemoteCommID: req.LocalCommID}, Reason: rejectMTU, InfoLength: 1}
	rej.ARI[0] = uint8(driver.MTU1024)
	s.send(h.TID, wire.AttrREJ, rej)
	for first := h.TID; h.TID == first; { // which may have been sent again before it was refused
		h = s.hears(wire.AttrREQ, &req)
	}
	if req.PathMTU != driver.MTU1024 {
		t.Errorf("asked with %v then", req.PathMTU)
	}
	s.send(h.TID, wire.AttrREP, yes(&req))
	check(t, <-done)
	if a := must[driver.QPAttr](t)(me.d.QueryQP(me.qp)); a.PathMTU != driver.MTU1024 {
		t.Errorf("connected with %v", a.PathMTU)
	}
}

// Two of our own devices with different MTUs use the smaller one.
func TestTheSmallerMTUIsUsed(t *testing.T) {
	for _, mtus := range [][2]driver.MTU{{driver.MTU4096, driver.MTU512}, {driver.MTU512, driver.MTU4096}} {
		da, db := loopback(t, Config{MTU: mtus[0]}, Config{MTU: mtus[1]})
		a, b := sides(t, da, db, 4096)
		for _, s := range []*side{a, b} {
			if got := must[driver.QPAttr](t)(s.d.QueryQP(s.qp)); got.PathMTU != driver.MTU512 {
				t.Errorf("%v and %v: %v", mtus[0], mtus[1], got.PathMTU)
			}
		}
	}
}
