// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func some(n int) []Session {
	var out []Session
	for i := range n {
		out = append(out, Session{ID: fmt.Sprintf("%03d", i), Client: netip.AddrFrom4([4]byte{10, 0, byte(i % 3), byte(i)}), Bytes: int64(100 - i%7)})
	}
	return out
}

// Nothing below High; above it down to Low, as far as others have room; nobody
// is brought above Low; no session goes twice.
func TestShed(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := Shed{High: 0.9, Low: rapid.Float64Range(0.1, 0.9).Draw(rt, "low")}
		n := rapid.IntRange(0, 200).Draw(rt, "sessions")
		self := Load{"s1", n, rapid.IntRange(0, 200).Draw(rt, "capacity")}
		var others []Load
		for i := range rapid.IntRange(0, 4).Draw(rt, "others") {
			others = append(others, Load{fmt.Sprint("o", i), rapid.IntRange(0, 100).Draw(rt, "theirs"), rapid.IntRange(0, 100).Draw(rt, "their capacity")})
		}
		moves := s.Plan(self, others, some(n))
		if float64(n) <= s.High*float64(self.Capacity) || self.Capacity == 0 {
			if len(moves) > 0 {
				rt.Fatalf("%d move from a server that is not overloaded", len(moves))
			}
			return
		}
		room, gone, seen := 0, map[string]int{}, map[string]bool{}
		for _, m := range moves {
			if seen[m.Session] || m.Reason != ForLoad {
				rt.Fatalf("%+v", m)
			}
			seen[m.Session] = true
			gone[m.To]++
		}
		for _, o := range others {
			if gone[o.Name] > 0 && o.Sessions+gone[o.Name] > s.mark(o) {
				rt.Fatalf("%s is overloaded by %d", o.Name, gone[o.Name])
			}
			if o.Capacity > 0 {
				room += max(0, s.mark(o)-o.Sessions)
			}
		}
		if want := min(max(0, n-s.mark(self)), room); len(moves) != want {
			rt.Fatalf("%d move, want %d", len(moves), want)
		}
	})
}

func TestShedTakesTheCheapestToTheEmptiest(t *testing.T) {
	got := (Shed{High: 0.5, Low: 0.25}).Plan(Load{"s1", 3, 4}, []Load{{"full", 9, 10}, {"empty", 0, 100}, {"unknown", 0, 0}},
		[]Session{{ID: "dear", Bytes: 100}, {ID: "b", Bytes: 1}, {ID: "a", Bytes: 1}})
	if d := cmp.Diff([]Move{{"a", "empty", ForLoad}, {"b", "empty", ForLoad}}, got); d != "" {
		t.Error(d)
	}
}

func TestContent(t *testing.T) {
	c := Content{
		{Clients: netip.MustParsePrefix("10.0.0.0/24"), Service: "web", To: "s2"},
		{Clients: netip.MustParsePrefix("10.0.1.0/24"), To: "gone"},
		{Clients: netip.MustParsePrefix("10.0.0.0/16"), To: "s1"},
	}
	at := func(id, service, client string) Session {
		return Session{ID: id, Service: service, Client: netip.MustParseAddr(client)}
	}
	got := c.Plan("s1", []Load{{Name: "s2"}}, []Session{
		at("theirs", "web", "10.0.0.1"), at("another service", "mail", "10.0.0.1"), at("mapped", "web", "::ffff:10.0.0.2"),
		at("nobody's", "web", "192.0.2.1"), at("of one that is gone", "web", "10.0.1.1"), at("ours", "web", "10.0.7.1"),
	})
	if d := cmp.Diff([]Move{{"theirs", "s2", ForContent}, {"mapped", "s2", ForContent}}, got); d != "" {
		t.Error(d)
	}
}

func TestDrainLeavesNothing(t *testing.T) {
	got := map[string]string{}
	for _, m := range Drain(some(50), "s2") {
		got[m.Session] = m.To
	}
	if len(got) != 50 || got["017"] != "s2" {
		t.Errorf("%d go", len(got))
	}
}
