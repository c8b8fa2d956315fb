// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"

	"lazystate/mtcp"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/wire"
)

// only is the one session that a keeper has.
func only(t *testing.T, k *keeper.Keeper) keeper.Info {
	t.Helper()
	all := k.Sessions()
	if len(all) != 1 {
		t.Fatalf("%d sessions", len(all))
	}
	return all[0]
}

// Anybody may introduce a session under any name. It goes nowhere unless it is of the
// user that the service has: a process of that user would go on with it elsewhere, from
// a state that somebody else has made. Nor does it keep an address here.
func TestOthersSessionsGoNowhere(t *testing.T) {
	m := lone(t)
	path := keeping(t, m)
	accepted(t, path)
	i := only(t, m.cfg.Keeper)
	me, somebody := uint32(os.Getuid()), uint32(os.Getuid())+1
	elsewhere := netip.AddrPortFrom(i.Local.Addr(), i.Local.Port()^1)
	for name, c := range map[string]struct {
		services    []Service
		alone, with bool // it moves alone, with its address
	}{
		"its service":              {[]Service{{Name: "web", UID: me, Listen: i.Local}}, true, true},
		"another user's":           {[]Service{{Name: "web", UID: somebody, Listen: i.Local}}, false, false},
		"another user's, and mine": {[]Service{{Name: "web", UID: somebody, Listen: i.Local}, {Name: "mine", UID: me, Listen: elsewhere}}, false, false},
		"a name that nobody has":   {[]Service{{Name: "mine", UID: me, Listen: i.Local}}, false, true}, // S2 says so
		"another port":             {[]Service{{Name: "web", UID: me, Listen: elsewhere}}, false, true},
		"nobody's":                 {[]Service{{Name: "other", UID: somebody, Listen: i.Local}}, false, false},
	} {
		m.cfg.Services = c.services
		s := &sourceMove{source: source{m: m}, proposal: proposal{way: ByTakeover, addr: i.Local.Addr()}}
		if with := len(s.sessions()) == 1; with != c.with {
			t.Errorf("%s: it goes with its address: %t", name, with)
		}
		if m.ours(i) != c.alone {
			t.Errorf("%s: it is ours: %t", name, m.ours(i))
		}
		if c.alone {
			continue
		}
		if _, err := m.Redirect(t.Context(), i.ID, "s2"); !errors.Is(err, errOthers) {
			t.Errorf("%s: redirected: %v", name, err)
		}
		if _, _, err := m.holder(i.ID); !errors.Is(err, errOthers) {
			t.Errorf("%s: its client is advised: %v", name, err)
		}
	}
}

// A session is found by its certificate, as long as it is there for that stay; a guess has
// those alone looked at that are new.
func TestCertificateFindsItsSession(t *testing.T) {
	m := lone(t)
	m.key = wire.Key{1}
	m.certs = &certs{}
	path := keeping(t, m)
	numbered := func() (keeper.Info, wire.Certificate) {
		t.Helper()
		before := map[stay]bool{}
		for _, i := range m.cfg.Keeper.Sessions() {
			before[stay{i.ID, i.Generation}] = true
		}
		accepted(t, path)
		for _, i := range m.cfg.Keeper.Sessions() {
			if before[stay{i.ID, i.Generation}] {
				continue
			}
			held, err := m.cfg.Keeper.Hold(i.ID, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			c := mtcp.Connection{Up: mtcp.Stream{First: 1}, Down: mtcp.Stream{First: 2}}
			held.Box.Number(c)
			held.Thaw()
			i, _ = m.cfg.Keeper.Session(i.ID)
			return i, m.certificate(flowOf(i), c, i.Generation)
		}
		t.Fatal("it is not kept")
		return keeper.Info{}, wire.Certificate{}
	}
	one, first := numbered()
	if i, ok := m.certified(first); !ok || i.ID != one.ID {
		t.Errorf("the first: %v, %t", i.ID, ok)
	}
	m.issued.ids[wire.Certificate{9}] = stay{one.ID, one.Generation + 2}
	if i, ok := m.certified(wire.Certificate{9}); ok {
		t.Errorf("one of another stay finds %v", i.ID)
	}
	m.issued.of[stay{one.ID, one.Generation}] = wire.Certificate{7} // it is not looked at again
	two, second := numbered()
	if i, ok := m.certified(second); !ok || i.ID != two.ID {
		t.Errorf("the second: %v, %t", i.ID, ok)
	}
	if i, ok := m.certified(wire.Certificate{7}); !ok || i.ID != one.ID {
		t.Errorf("the first was looked at again: %v, %t", i.ID, ok)
	}
	if _, ok := m.certified(wire.Certificate{8}); ok {
		t.Error("a guess finds one")
	}
	held, err := m.cfg.Keeper.Hold(two.ID, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	held.Depart()
	if _, ok := m.certified(second); ok {
		t.Error("one that has left is found")
	}
	if _, ok := m.certified(wire.Certificate{8}); ok || len(m.issued.of) != 1 {
		t.Errorf("%d are remembered", len(m.issued.of))
	}
}

// Who has seen a session's certificate cannot take it from another address, where the
// configuration says so.
func TestSameClient(t *testing.T) {
	m := lone(t)
	i := keeper.Info{Name: "web", UID: 7, Local: netip.MustParseAddrPort("10.0.0.1:80"), Remote: netip.MustParseAddrPort("10.0.0.9:5")}
	m.cfg.Services = []Service{{Name: "web", UID: 7, Listen: i.Local}}
	own := request{client: netip.AddrPortFrom(i.Remote.Addr(), 6)}
	other := request{client: netip.MustParseAddrPort("10.0.0.66:5")}
	for _, same := range []bool{false, true} {
		m.cfg.SameClient = same
		if err := m.mayTake(own, i); err != nil {
			t.Errorf("from its own address: %v", err)
		}
		if err := m.mayTake(other, i); errors.Is(err, errElsewhere) != same {
			t.Errorf("from another, same_client %t: %v", same, err)
		}
	}
	i.UID++
	if err := m.mayTake(own, i); !errors.Is(err, errOthers) {
		t.Errorf("another user's: %v", err)
	}
}
