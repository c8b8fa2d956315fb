// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lazystate/internal/identity"
	"lazystate/mtcp/party"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/wire"
)

// clocked is a limiter with a clock of its own.
func clocked(r rate) (*limiter, *time.Time) {
	l, now := newLimiter(r), time.Unix(0, 0)
	l.now = func() time.Time { return now }
	return l, &now
}

// In no time does anybody get more than the burst and what comes in it.
func TestRateIsKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rate{rapid.IntRange(1, 5).Draw(t, "burst"), rapid.IntRange(1, 20).Draw(t, "second")}
		l, now := clocked(r)
		var granted []time.Time
		for range rapid.IntRange(1, 60).Draw(t, "times") {
			*now = now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "ms")) * time.Millisecond)
			if l.allow("s1") {
				granted = append(granted, *now)
			}
		}
		for i, from := range granted {
			for j, to := range granted[i:] {
				if most := float64(r.burst) + to.Sub(from).Seconds()*float64(r.second) + 1e-6; float64(j+1) > most {
					t.Fatalf("%d in %v, at most %f", j+1, to.Sub(from), most)
				}
			}
		}
	})
}

// Who waits its turn is allowed everything, whatever the way delays by a second.
func TestWhoWaitsIsAllowed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s1, now := clocked(ownRate)
		s2, there := clocked(sessionRate)
		pause := rapid.IntRange(0, 3000)
		for range rapid.IntRange(1, 20).Draw(t, "times") {
			*now = now.Add(time.Duration(pause.Draw(t, "ms")) * time.Millisecond)
			delay := time.Duration(rapid.IntRange(0, 1000).Draw(t, "delay")) * time.Millisecond
			for range rapid.IntRange(1, 1000).Draw(t, "at once") {
				if comes := now.Add(s1.due("s2") + delay); comes.After(*there) {
					*there = comes
				}
				if !s2.allow("s1") {
					t.Fatal("it is refused")
				}
			}
		}
	})
}

// Others do not pay for one who asks too often, and however many there are, not
// all of them are remembered.
func TestBucketsAreBounded(t *testing.T) {
	l, now := clocked(rate{2, 1})
	for range 3 {
		l.allow("s1")
	}
	if l.allow("s1") || !l.allow("s2") || l.count() != 2 {
		t.Errorf("s1 is allowed, or s2 is not; %d were refused", l.count())
	}
	for i := range 3 * mostBuckets {
		l.allow(fmt.Sprint(i))
	}
	if n := len(l.buckets); n > mostBuckets+1 {
		t.Errorf("%d are remembered", n)
	}
	if l.allow("one of many") {
		t.Error("those who are not told apart have each a bucket of their own")
	}
	*now = now.Add(time.Minute)
	if !l.allow("one of many") || len(l.buckets) > 2 {
		t.Errorf("a minute later %d are remembered", len(l.buckets))
	}
}

// Moves that a server proposes, and sessions that it asks for, are bounded: it is
// told so, and nothing begins.
func TestPeerAsksTooOften(t *testing.T) {
	p := proposal{way: ByGateway, flow: steer.Flow{Local: netip.MustParseAddrPort("10.0.0.1:80"), Remote: netip.MustParseAddrPort("10.0.0.9:1")}, name: "web"}
	q := request{wire.Certificate{1}, 7, p.flow.Remote, p.flow.Local}
	for _, c := range []struct {
		frame frame
		want  party.Kind
	}{{frame{kindOf(party.Propose), ID{1}, p.append(nil)}, party.Never}, {frame{kindOf(party.Ask), ID{2}, q.append(nil)}, party.Abort}} {
		m, l := lone(t), link{"s1", false}
		m.sessions = newLimiter(rate{1, 0})
		here, there := net.Pipe()
		defer there.Close()
		m.mesh.conns[l] = &speaker{c: here}
		for _, why := range []string{errNoInterfaces.Error(), errTooOften.Error()} { // the first is looked at
			m.tasks.Go(func() { m.heard(l, c.frame) })
			f, err := readFrame(there, 1000)
			if err != nil || between[f.kind] != c.want || string(f.body) != why {
				t.Errorf("%s: %v %q, %v, want %q", c.frame, f, f.body, err, why)
			}
			m.tasks.Wait()
		}
		if n := m.sessions.count(); n != 1 {
			t.Errorf("%d were refused", n)
		}
	}
}

// A server that advises too often is not answered, and may say so again.
func TestServerAdvisesTooOften(t *testing.T) {
	a := NewAgent(nil, nil, party.Defaults, slog.New(slog.DiscardHandler))
	f := steer.Flow{Local: netip.MustParseAddrPort("10.0.0.9:1"), Remote: netip.MustParseAddrPort("10.0.0.1:80")}
	a.sessions[f] = &clientSession{cert: wire.Certificate{1}}
	a.Advice = func(steer.Flow, wire.MigrateAdvise) bool { t.Error("it is looked at"); return true }
	a.advices = newLimiter(rate{0, 0})
	a.advised(f, f, wire.MigrateAdvise{N: 7, Cert: wire.Certificate{1}})
	if s := a.sessions[f]; s.advice != 0 || s.moving != nil || a.advices.count() != 1 {
		t.Errorf("%+v, %d were left out", s, a.advices.count())
	}
}

// However often and however much a server offers, a connection has each once.
func TestOffersAreBounded(t *testing.T) {
	a := NewAgent(nil, nil, party.Defaults, slog.New(slog.DiscardHandler))
	f := steer.Flow{Local: netip.MustParseAddrPort("10.0.0.9:1"), Remote: netip.MustParseAddrPort("10.0.0.1:80")}
	a.offered(f, wire.Offer{Parts: 2})
	for i := range 3 * mostServers {
		for range 2 {
			a.offered(f, wire.Offer{Part: 1, Parts: 2, Servers: []netip.AddrPort{netip.AddrPortFrom(f.Remote.Addr(), uint16(1+i))}})
		}
	}
	got := a.sessions[f].servers
	if len(got) != mostServers || got[1].Port() != 2 {
		t.Errorf("%d servers: %v", len(got), got)
	}
}

func newIdentity(t *testing.T) *identity.Identity {
	t.Helper()
	b, _, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// A gateway keeps back no more for a server than it may have, and a server's second
// connection ends the first.
func TestGatewayIsAskedTooOften(t *testing.T) {
	router, s1 := newIdentity(t), newIdentity(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	own := netip.MustParseAddrPort("10.0.0.1:80")
	g := &Gateway{Identity: router, Servers: []Peer{{Name: "s1", Key: s1.Public, Serves: []netip.AddrPort{own}}}, Log: slog.New(slog.DiscardHandler),
		Listen: l, holds: newLimiter(rate{1, 0})}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- g.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	}()
	at := Peer{Name: "gw", Address: g.Listen.Addr().String(), Key: router.Public}
	gates := newGates(s1, []Peer{at})
	nowhere := turn{netip.MustParseAddrPort("10.0.0.9:1"), own, netip.MustParseAddrPort("10.0.0.3:80")}
	for _, want := range []string{"gateway gw: no server is known to serve at 10.0.0.3:80", "gateway gw: " + errTooOften.Error()} {
		said := (*gateError)(nil)
		if err := gates.turn(ctx, gateHold, nowhere); !errors.As(err, &said) || err.Error() != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
	first := gates.all[0].c
	defer first.Close()
	if err := newGates(s1, []Peer{at}).turn(ctx, gateHold, nowhere); err == nil {
		t.Error("it may have more by a second connection")
	}
	if _, err := first.Read(make([]byte, 1)); err == nil {
		t.Error("the first connection is still there")
	}
}

// A gateway that is lost over a hold may have done it: it is told to take it back when
// it is there again, however often it is not.
func TestHoldIsTakenBack(t *testing.T) {
	router, s1 := newIdentity(t), newIdentity(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	said := make(chan uint8, 10)
	go func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s := tls.Server(c, router.TLS(gatewayProtocol, func(identity.PublicKey) error { return nil }))
			f, err := readFrame(s, 3*addrLen)
			if err == nil {
				said <- f.kind
			}
			if n == 2 { // it is up again
				_ = writeFrame(s, frame{kind: gateDone, id: f.id})
			}
			_ = s.Close()
		}
	}()
	m := lone(t)
	m.cfg.Timing = party.Defaults
	m.gates = newGates(s1, []Peer{{Name: "gw", Address: l.Addr().String(), Key: router.Public}})
	defer m.gates.all[0].close()
	if err := m.holdBack(turn{netip.MustParseAddrPort("10.0.0.9:1"), netip.MustParseAddrPort("10.0.0.1:80"), netip.MustParseAddrPort("10.0.0.2:80")}); err == nil {
		t.Error("it is held back")
	}
	for i, want := range []uint8{gateHold, gateBack, gateBack} {
		if got := <-said; got != want {
			t.Errorf("%d: kind %d, want %d", i, got, want)
		}
	}
}
