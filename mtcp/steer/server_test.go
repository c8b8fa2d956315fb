// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lazystate/internal/netrig"
	"lazystate/internal/seqnum"
	"lazystate/mtcp/wire"
)

var testKey = wire.Key{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

// serve starts a server's side at a host.
func serve(t testing.TB, h *netrig.Host, services ...Service) *Server {
	t.Helper()
	var s *Server
	h.Do(func() (err error) {
		s, err = OpenServer(ServerConfig{Interfaces: []string{netrig.Dev}})
		for _, v := range services {
			if err == nil {
				err = s.Serve(v)
			}
		}
		return err
	})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// connect makes an ordinary connection to a server.
func connect(t *testing.T, client, server *netrig.Host, from netip.Addr, to netip.AddrPort) (c, s *net.TCPConn) {
	t.Helper()
	var l *net.TCPListener
	server.Do(func() (err error) {
		l, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(to))
		return err
	})
	defer l.Close()
	client.Do(func() (err error) {
		d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), Timeout: hang}
		d.SetMultipathTCP(false)
		conn, err := d.Dial("tcp", to.String())
		if err == nil {
			c = conn.(*net.TCPConn)
		}
		return err
	})
	s, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	for _, conn := range []*net.TCPConn{c, s} {
		t.Cleanup(func() { conn.Close() })
		if err := conn.SetDeadline(time.Now().Add(hang)); err != nil {
			t.Fatal(err)
		}
	}
	return c, s
}

func flowOfConn(c *net.TCPConn) Flow {
	l, r := c.LocalAddr().(*net.TCPAddr).AddrPort(), c.RemoteAddr().(*net.TCPAddr).AddrPort()
	return Flow{netip.AddrPortFrom(l.Addr().Unmap(), l.Port()), netip.AddrPortFrom(r.Addr().Unmap(), r.Port())}
}

// event waits for one that is told for a reason.
func event(t *testing.T, s *source, want Told) Event {
	t.Helper()
	s.SetDeadline(time.Now().Add(hang))
	for {
		e, err := s.Next()
		if err != nil {
			t.Fatalf("waiting for %s: %v", want, err)
		}
		if e.Told == want {
			return e
		}
		t.Logf("while waiting for %s: %+v", want, e)
	}
}

// A server offers, the client's agent hears it, both TCPs notice nothing: the
// connection works, and so does one of a client that has no agent.
func TestOfferOnTheSYNACK(t *testing.T) {
	n := newNet3(t)
	more := netip.AddrPortFrom(netip.MustParseAddr("10.9.0.9"), 81)
	service := Service{
		Listen: netip.MustParseAddrPort("0.0.0.0:80"), Offers: true, Key: testKey,
		Servers: []netip.AddrPort{netip.AddrPortFrom(s2V4, 80), more, netip.AddrPortFrom(s2V6, 80)},
	}
	srv := serve(t, n.s1, service)
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6 %t", v6), func(t *testing.T) {
			client, s1 := clientV4, s1V4
			if v6 {
				client, s1 = clientV6, s1V6
			}
			without, _ := connect(t, n.client, n.s1, client, netip.AddrPortFrom(s1, 80))
			without.Close()
			a := n.open(t, Auto)
			c, s := connect(t, n.client, n.s1, client, netip.AddrPortFrom(s1, 80))
			e := event(t, a.source, Offered)
			f := flowOfConn(c)
			if e.Flow != f || e.Segment.Flags != wire.SYN|wire.ACK {
				t.Fatalf("told %+v of %s", e, f)
			}
			offer, ok := e.Segment.Migration().(wire.Offer)
			cert := testKey.Certify(wire.Subject{Client: f.Local, Server: f.Remote, ISS: e.Segment.Seq, IRS: e.Segment.Ack - 1, Generation: 1})
			want := wire.Offer{Parts: uint8(service.Parts(v6)), Cert: cert}
			if !v6 {
				want.Servers = service.Servers[:1]
			}
			if d := cmp.Diff(want, offer, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); !ok || d != "" {
				t.Fatal(d)
			}
			if rest := service.Rest(v6, cert); len(rest) != 1 || rest[0].Parts != 2 || rest[0].Part != 1 || len(rest[0].Servers) != 1 {
				t.Errorf("the rest is %+v", rest)
			}
			exchange(t, c, s, 1<<16)
			var got Numbers
			var err error
			for end := time.Now().Add(hang); time.Now().Before(end) && got.Acked < 1<<16; { // the last acknowledgement may be on its way
				n.client.Do(func() error { got, err = a.Query(f); return nil })
			}
			if err != nil || got.Received != 1<<16 || got.Acked < 1<<16 || got.SndUna != e.Segment.Ack.Add(1<<16) || got.RcvNxt != e.Segment.Seq.Add(1+1<<16) {
				t.Errorf("query: %+v, %v, after %+v", got, err, e.Segment)
			}
		})
	}
	if st, err := srv.Stats(); err != nil || st.Offered != 4 || st.Refused != 0 {
		t.Errorf("%+v, %v", st, err)
	}
}

// handshake is a move as client's agent and new server do it, with the test as
// both; S2's socket is made by hand.
func (n net3) handshake(t *testing.T, v6 bool) {
	client, s1, s2 := clientV4, s1V4, s2V4
	if v6 {
		client, s1, s2 = clientV6, s1V6, s2V6
	}
	to := netip.AddrPortFrom(s2, 8080)
	srv2 := serve(t, n.s2, Service{Listen: to, Takes: true})
	srv1 := serve(t, n.s1)
	a := n.open(t, Auto)
	c, s := connect(t, n.client, n.s1, client, netip.AddrPortFrom(s1, 80))
	f := flowOfConn(c)
	exchange(t, c, s, 1000)
	out, in := sender(t, n.client), sender(t, n.s2)

	var from netip.AddrPort
	var num Numbers
	n.client.Do(func() (err error) {
		if from, _, err = ReservePort(netip.AddrPortFrom(client, 0)); err == nil {
			num, err = a.Begin(f, Try{Server: to, Local: from, For: hang})
		}
		return err
	})
	held := []byte("written while the session moves")
	if _, err := c.Write(held); err != nil { // stays with the client
		t.Fatal(err)
	}
	syn := wire.Segment{Src: from, Dst: to, Seq: num.SndNxt - 1, Flags: wire.SYN, Window: 65535}
	syn.Options, _ = wire.AppendSYN(nil, wire.MigrateRequest{Next: num.RcvNxt, Server: wire.ServerID(f.Remote), Cert: wire.Certificate{7}}, 1400)
	n.client.Do(func() error { return out.Send(syn) })

	e := event(t, srv2.source, Option)
	req, ok := e.Segment.Migration().(wire.MigrateRequest)
	if !ok || req.Next != num.RcvNxt || e.Segment.Seq != num.SndNxt-1 || e.Flow != (Flow{to, from}) {
		t.Fatalf("S2 was told %+v", e)
	}
	if err := srv1.Hold(Flow{f.Remote, f.Local}, Deaf, 0); err != nil { // S1 has given the session away
		t.Fatal(err)
	}
	if err := srv2.Hold(e.Flow, Early, hang); err != nil {
		t.Fatal(err)
	}
	synack := wire.Segment{Src: to, Dst: from, Seq: req.Next - 1, Ack: e.Segment.Seq + 1, Flags: wire.SYN | wire.ACK, Window: 65535}
	synack.Options, _ = wire.AppendSYN(nil, wire.MigrateReply{LSRC: req.Next, ImplicitAck: e.Segment.Seq + 1}, 1400)
	n.s2.Do(func() error { return in.Send(synack) })

	e = event(t, a.source, Next)
	reply, ok := e.Segment.Migration().(wire.MigrateReply)
	if !ok || e.Flow != (Flow{from, to}) {
		t.Fatalf("the client was told %+v", e)
	}
	n.client.Do(func() (err error) { num, err = a.Switch(f, Shift{}); return err })
	ack := wire.Segment{Src: from, Dst: to, Seq: syn.Seq + 1, Ack: reply.LSRC, Flags: wire.ACK, Window: 65535}
	ack.Options, _ = wire.Append(nil, wire.RcvdWhileMigrating{Delta: reply.LSRC.Size(seqnum.Max(num.RcvNxt, reply.LSRC))})
	n.client.Do(func() error { return out.Send(ack) })
	if e = event(t, srv2.source, Option); e.Segment.Migration() != wire.Option(wire.RcvdWhileMigrating{}) {
		t.Fatalf("S2 was told %+v", e)
	}
	moved := plant(t, n.s2, half{to, from, reply.LSRC, seqnum.Value(reply.ImplicitAck)})
	if err := srv2.Release(Flow{to, from}); err != nil {
		t.Fatal(err)
	}
	if _, err := moved.Write([]byte("!")); err != nil {
		t.Fatal(err)
	}
	if b := make([]byte, 1); !reads(t, c, b) || b[0] != '!' {
		t.Fatalf("%q came from S2", b)
	}
	if b := make([]byte, len(held)); !reads(t, moved, b) || string(b) != string(held) {
		t.Fatalf("%q came to S2", b)
	}
	n.client.Do(func() (err error) { num, err = a.Query(f); return err })
	if num.Retransmitted != 0 {
		t.Errorf("what was held waited for a timer: %+v", num)
	}
	exchange(t, c, moved, 1<<20)
	s.Close() // S1's kernel would send a FIN, and a RST later
	if got, err := a.Session(f); err != nil || got.State != Moved {
		t.Fatalf("%+v, %v", got, err)
	}
	exchange(t, c, moved, 1<<16)
	if err := srv1.Release(Flow{f.Remote, f.Local}); err != nil { // and now it does: the client is deaf to it
		t.Fatal(err)
	}
	var st Stats
	var err error
	for end := time.Now().Add(hang); err == nil && st.Blackholed == 0; time.Sleep(time.Millisecond) { // its FIN comes again, when its timer says so
		if st, err = a.Stats(); time.Now().After(end) {
			t.Fatalf("S1 says nothing: %+v", st)
		}
	}
	exchange(t, c, moved, 1<<16)
	if err == nil {
		st, err = a.Stats()
	}
	t.Logf("%+v", st)
	if err != nil || st.DataHeld == 0 || st.Blackholed == 0 || st.Opened != 1 || st.TellingsLost != 0 {
		t.Errorf("%+v, %v", st, err)
	}
}

func reads(t *testing.T, c *net.TCPConn, b []byte) bool {
	t.Helper()
	_, err := io.ReadFull(c, b)
	if err != nil {
		t.Error(err)
	}
	return err == nil
}

func sender(t testing.TB, h *netrig.Host) *Sender {
	t.Helper()
	var s *Sender
	h.Do(func() (err error) { s, err = NewSender(); return err })
	t.Cleanup(func() { s.Close() })
	return s
}

// The whole of §2.5.2 on the wire: requested, replied, switched, moved, with data
// held at the client, and S1 speaking when it is too late.
func TestHandshakeOfAMove(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6 %t", v6), func(t *testing.T) { newNet3(t).handshake(t, v6) })
	}
}

// However many flows have been on hold, the next one finds room: those whose time is
// over are in nobody's way. Where all are needed it is told so.
func TestHoldsMakeRoom(t *testing.T) {
	n := newNet3(t)
	var srv *Server
	const room = 8
	n.s1.Do(func() (err error) {
		srv, err = OpenServer(ServerConfig{Interfaces: []string{netrig.Dev}, Holds: room})
		return err
	})
	defer srv.Close()
	flow := func(i int) Flow {
		return Flow{netip.AddrPortFrom(s1V4, 80), netip.AddrPortFrom(clientV4, uint16(1+i))}
	}
	if err := srv.Hold(flow(0), Deaf, 0); err != nil {
		t.Fatal(err)
	}
	for i := range 5 * room { // each is over when the table is full for the next time
		if err := srv.Hold(flow(1+i), Deaf, time.Nanosecond); err != nil {
			t.Fatalf("flow %d: %v", i, err)
		}
		srv.swept = time.Time{}
	}
	var h bpfHold
	if err := srv.holds.Lookup(flow(0).bpf(), &h); err != nil {
		t.Errorf("the one that is needed: %v", err)
	}
	for i := range room {
		_ = srv.Hold(flow(1000+i), Deaf, time.Hour)
		srv.swept = time.Time{}
	}
	if err := srv.Hold(flow(2000), Deaf, time.Hour); !errors.Is(err, ErrFull) {
		t.Errorf("more than there is room for: %v", err)
	}
}
