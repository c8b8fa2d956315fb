// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"

	"lazystate/backdoor"
	"lazystate/mtcp/extract/extracttest"
	"lazystate/mtcp/tcprepair"
)

// The recovery node's carrier fails at each of its operations behind the fence, also while
// CPUs are looked for that the fence has not stopped. Nothing lives then and the address is
// given back; who tries again saves all.
func TestCarrierFailsAtEachOperation(t *testing.T) {
	t.Run("fenced", func(t *testing.T) { carrierFailsAtEach(t, nil) })
	t.Run("at its port alone", func(t *testing.T) { carrierFailsAtEach(t, &backdoor.PortOnlyError{Err: backdoor.ErrNoAnswer}) })
}

func carrierFailsAtEach(t *testing.T, fenced error) {
	w := newWorld(t, "ipv4", adding)
	clients := w.busy(3, 5, 2)
	w.die(nil)
	memory := w.machine.Memory()
	target, err := backdoor.Open(t.Context(), memory)
	w.must(err)
	if fenced == nil {
		w.must(target.Fence(t.Context(), w.fence))
	} else {
		w.machine.Hang(true)
	}
	w.cfg.Target = target
	w.cfg.Fence = func(context.Context) error { return fenced }
	gone, most := errors.New("the carrier is gone"), 0
	for saved := 0; saved == 0; most++ {
		seen := 0
		memory.Before(func(int, *backdoor.Op) error {
			if seen++; seen > most {
				return gone
			}
			return nil
		})
		var r *Report
		err := w.s2.Try(func() (err error) { r, err = Run(t.Context(), w.cfg); return err })
		if saved = r.Saved(); err != nil && (!errors.Is(err, gone) || saved != 0 || len(w.s2.keep.Sessions()) != 0 || w.s2.has(w.service.Addr())) {
			t.Fatalf("after %d operations: %v; %d sessions live, the address is there: %v", most, err, saved, w.s2.has(w.service.Addr()))
		} else if err == nil && saved != len(clients) {
			t.Fatalf("after %d operations: %+v", most, r.Sessions)
		}
	}
	if most < 10 {
		t.Errorf("%d operations are enough", most)
	}
	for _, a := range clients {
		a.rest()
		a.ask(5)
		a.rest()
	}
}

// has reports whether a server has an address.
func (s *server) has(ip netip.Addr) (has bool) {
	s.w.t.Helper()
	s.Do(func() error {
		all, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
		for _, a := range all {
			has = has || a.IP.Equal(ip.AsSlice())
		}
		return err
	})
	return has
}

// dying is a Place of one that is killed when so many of its sessions live.
type dying struct {
	Place
	left         int
	once         sync.Once
	reached, end chan struct{}
}

var errKilled = errors.New("it was killed")

func (p *dying) Begin(own, peer netip.Addr, segments uint32) (func() error, error) {
	if p.left > 0 {
		p.left--
		return p.Place.Begin(own, peer, segments)
	}
	p.once.Do(func() { close(p.reached) })
	<-p.end
	return nil, errKilled
}

// killed has a recovery node begin and be killed when so many sessions live. What
// it has done stays; its threads do nothing more until the test is over.
func (w *world) killed(after int) {
	w.t.Helper()
	p := &dying{Place: w.cfg.Place, left: after, reached: make(chan struct{}), end: make(chan struct{})}
	if w.carrier == nil {
		w.carrier = w.machine.Memory()
	}
	cfg, ended := w.cfg, make(chan struct{})
	var err error
	cfg.Target, err = backdoor.Open(w.t.Context(), w.carrier)
	w.must(err)
	cfg.Place, cfg.AtOnce = p, 1 // so many windows are so many sessions
	cfg.Fence = func(ctx context.Context) error { return cfg.Target.Fence(ctx, w.fence) }
	go func() {
		defer close(ended)
		_ = w.s2.Try(func() error { _, err := Run(w.t.Context(), cfg); return err })
	}()
	select {
	case <-p.reached:
	case <-ended:
	}
	w.t.Cleanup(func() { close(p.end); <-ended })
}

// A recovery node was killed in the midst: the address is there, some of the
// sessions are, and a route of its is left. Another try takes the rest, and leaves
// those alone that live.
func TestAgainWhereSomeLive(t *testing.T) {
	w := newWorld(t, "ipv4", adding)
	clients := []*adder{w.dial(), w.dial(), w.dial()}
	for _, a := range clients {
		a.ask(3)
		a.rest()
	}
	w.die(func(_ int, _ *tcprepair.Dump, s *extracttest.Sock) { s.Set("tcp_sock.snd_cwnd", 12) })
	w.killed(2)
	here := map[string]bool{}
	for _, s := range w.s2.keep.Sessions() {
		here[s.Remote.String()] = true
	}
	for _, a := range clients {
		if here[a.LocalAddr().String()] {
			a.ask(10) // on, beyond what the dead machine's memory has
			a.rest()
		}
	}
	place := w.cfg.Place.(*Link)
	_, err := place.Begin(w.service.Addr(), netip.MustParsePrefix(families["ipv4"][0]).Addr(), 5)
	w.must(err)
	var again *Link
	w.s2.Do(func() (err error) { again, err = OnLink(place.link); return err })
	defer again.Close()
	w.cfg.Place = again
	w.noRoutes()
	r := w.salvage()
	if r.Saved() != len(clients) || len(here) != 2 {
		t.Fatalf("%d lived, %+v", len(here), r.Sessions)
	}
	for _, a := range clients {
		if o := outcome(t, r, a); o.Here != here[a.LocalAddr().String()] {
			t.Errorf("%+v", o)
		}
		a.ask(10)
		a.rest()
	}
}

// noRoutes of ours are left at the recovery node.
func (w *world) noRoutes() {
	w.t.Helper()
	w.s2.Do(func() error {
		routes, err := netlink.RouteList(nil, netlink.FAMILY_ALL)
		for _, r := range routes {
			if r.InitCwnd != 0 {
				w.t.Errorf("left: %v", r)
			}
		}
		return err
	})
}

// What lies in the dead machine's memory is the old state of a session that has
// gone on elsewhere since, or ended. Its client says so, and it is named lost.
func TestOldState(t *testing.T) {
	w := newWorld(t, "ipv4", adding)
	on, gone, still := w.dial(), w.dial(), w.dial()
	for _, a := range []*adder{on, gone, still} {
		a.ask(3)
		a.rest()
	}
	w.die(nil)
	if r := w.salvage(); r.Saved() != 3 {
		t.Fatalf("%+v", r.Sessions)
	}
	on.ask(10)
	on.rest()
	w.s2.Unaddr(w.service.String()) // and then this one dies, too
	w.must(gone.Conn.(*net.TCPConn).SetLinger(0))
	w.must(gone.Close())
	w.recoverAt("s3", adding)
	r := w.salvage()
	for a, want := range map[*adder]error{on: tcprepair.ErrAhead, gone: tcprepair.ErrGone, still: nil} {
		if o := outcome(t, r, a); !errors.Is(o.Err, want) {
			t.Errorf("%v, want %v", o.Err, want)
		}
	}
	still.ask(5)
	still.rest()
}
