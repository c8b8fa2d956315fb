// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"lazystate/backdoor"
	"lazystate/mtcp/tcprepair"
)

// The recovery node's carrier fails at each of its operations behind the fence.
// Nothing lives then and the address is given back; who tries again saves all.
func TestCarrierFailsAtEachOperation(t *testing.T) {
	w := newWorld(t, "ipv4", adding)
	var clients []*adder
	for i := range 3 {
		a := w.dial()
		a.ask(5 * i)
		a.hear(2 * i)
		clients = append(clients, a)
	}
	w.die(nil)
	memory := w.machine.Memory()
	target, err := backdoor.Open(t.Context(), memory)
	w.must(err)
	w.must(target.Fence(t.Context(), w.fence))
	w.cfg.Target = target
	w.cfg.Fence = func(context.Context) error { return nil }
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

// dying is a Place of one that is killed before one client has answered.
type dying struct {
	Place
	late string
	end  chan struct{}
}

func (p *dying) Ask(dumps []*tcprepair.Dump, how Asking, answered func(*tcprepair.Dump, error)) error {
	var others []*tcprepair.Dump
	for _, d := range dumps {
		if d.Remote.String() != p.late {
			others = append(others, d)
		}
	}
	err := p.Place.Ask(others, how, answered)
	<-p.end
	return err
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
	late := clients[1].LocalAddr().String()
	w.die(nil)
	place := w.cfg.Place.(*Link)
	first := &dying{place, late, make(chan struct{})}
	w.cfg.Place = first
	ended := make(chan struct{})
	go func() { defer close(ended); w.salvage() }()
	defer func() { close(first.end); <-ended }()
	for _, i := range []int{0, 2} {
		clients[i].ask(10) // on, beyond what the dead machine's memory has
		clients[i].rest()
	}
	_, err := place.Begin(w.service.Addr(), netip.MustParsePrefix(families["ipv4"][0]).Addr(), 5)
	w.must(err)
	var again *Link
	w.s2.Do(func() (err error) { again, err = OnLink(place.link); return err })
	defer again.Close()
	w.cfg.Place = again
	w.noRoutes()
	r := w.salvage()
	if r.Saved() != len(clients) {
		t.Fatalf("%+v", r.Sessions)
	}
	for _, a := range clients {
		if o := outcome(t, r, a); o.Here != (a.LocalAddr().String() != late) {
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
