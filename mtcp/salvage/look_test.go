// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"net/netip"
	"testing"

	"lazystate/backdoor"
	"lazystate/mtcp/extract/extracttest"
	"lazystate/mtcp/tcprepair"
)

// Who only looks is told what could go on and what could not, and nothing happens.
func TestLook(t *testing.T) {
	w := newWorld(t, "ipv4", adding)
	clients := []*adder{w.dial(), w.dial(), w.dial()}
	for _, a := range clients {
		a.ask(10)
		a.hear(5)
	}
	bad := clients[1].LocalAddr().String()
	w.die(func(_ int, d *tcprepair.Dump, s *extracttest.Sock) {
		if d.Remote.String() == bad {
			s.Set("sock.sk_filter", 4096)
		}
	})
	target, err := backdoor.Open(t.Context(), w.machine.Memory())
	w.must(err)
	seen, err := Look(t.Context(), Config{Target: target, Services: []netip.Prefix{w.service}})
	w.must(err)
	if w.machine.Fenced() || w.s2.has(w.service.Addr()) || len(w.s2.keep.Sessions()) != 0 {
		t.Fatal("something has happened")
	}
	r := w.salvage()
	for _, a := range clients {
		before, after := outcome(t, seen, a), outcome(t, r, a)
		if lost := a.LocalAddr().String() == bad; (before.Err != nil) != lost || (after.Err != nil) != lost || before.Name != after.Name {
			t.Errorf("%+v, and then %+v", before, after)
		} else if !lost {
			a.rest()
		}
	}
}
