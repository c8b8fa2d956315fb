// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lazystate/mtcp"
	"lazystate/mtcp/extract/extracttest"
	"lazystate/mtcp/landing"
	"lazystate/mtcp/tcprepair"
)

// at is a session of a client, whose window was so large.
func at(client string, window uint32) *session {
	return &session{Outcome: Outcome{Remote: netip.MustParseAddrPort(client), Start: mtcp.Start{Cwnd: window}}}
}

// In a round a peer has one window, and each session is in one round, in order.
func TestRounds(t *testing.T) {
	const one, two = "10.0.0.1", "10.0.0.2"
	for name, c := range map[string]struct {
		all   []*session
		fresh bool
		want  [][]int
	}{
		"none":                  {},
		"as any other's":        {all: []*session{at(one+":1", 10), at(one+":2", 0), at(two+":1", 10)}, want: [][]int{{0, 1, 2}}},
		"one window":            {all: []*session{at(one+":1", 30), at(one+":2", 30), at(two+":1", 9)}, want: [][]int{{0, 1, 2}}},
		"windows of one peer":   {all: []*session{at(one+":1", 30), at(one+":2", 10), at(two+":1", 9), at(one+":3", 30), at(one+":4", 40)}, want: [][]int{{0, 2, 3}, {1}, {4}}},
		"larger than any":       {all: []*session{at(one+":1", 1<<20), at(one+":2", 1<<21)}, want: [][]int{{0, 1}}},
		"all as new ones":       {all: []*session{at(one+":1", 30), at(one+":2", 40)}, fresh: true, want: [][]int{{0, 1}}},
		"an interface's, twice": {all: []*session{at("[fe80::1%2]:1", 30), at("[fe80::1%3]:1", 40)}, want: [][]int{{0}, {1}}},
	} {
		r := &run{Config: Config{Fresh: c.fresh}}
		var got [][]int
		for _, round := range r.rounds(c.all) {
			var which []int
			for _, s := range round {
				which = append(which, slices.Index(c.all, s))
			}
			got = append(got, which)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// Several go on at once; where one of them is tried again, one after another and in order.
func TestAtOnce(t *testing.T) {
	r := &run{Config: Config{AtOnce: 3}}
	all := []*session{at("10.0.0.1:1", 0), at("10.0.0.1:2", 0), at("10.0.0.1:3", 0)}
	var in sync.WaitGroup
	in.Add(len(all))
	r.atOnce(all, func(*session) error {
		in.Done()
		in.Wait() // ends if all are here
		return ErrTooLarge
	})
	for i, s := range all {
		if s.Err != ErrTooLarge {
			t.Errorf("%d: %v", i, s.Err)
		}
	}
	all[1].again = true
	var inside, most atomic.Int32
	var order []uint16
	r.atOnce(all, func(s *session) error {
		most.Store(max(most.Load(), inside.Add(1)))
		order = append(order, s.Remote.Port())
		inside.Add(-1)
		return nil
	})
	if d := cmp.Diff([]uint16{1, 2, 3}, order); d != "" || most.Load() != 1 {
		t.Errorf("%d at once, %s", most.Load(), d)
	}
	r.atOnce(nil, nil)
}

// Whoever is waited for goes on with others of the kind alone, and before all others.
func TestBatchOf(t *testing.T) {
	kinds := func(word string) (all []*session) {
		for i, c := range word {
			s := at("10.0.0.1:1", uint32(i))
			s.owes = c == 'o'
			all = append(all, s)
		}
		return all
	}
	for _, c := range []struct {
		ready string
		most  int
		want  []uint32
	}{{"", 8, nil}, {"o", 8, []uint32{0}}, {"..o.o", 8, []uint32{2, 4}}, {"ooo", 2, []uint32{0, 1}}, {"...", 2, []uint32{0, 1}}, {"...", 8, []uint32{0, 1, 2}}} {
		ready := kinds(c.ready)
		var got []uint32
		for _, s := range ready[:batchOf(ready, c.most)] {
			got = append(got, s.Start.Cwnd)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%q: %s", c.ready, d)
		}
	}
}

// The client that waits for an answer has its session in a batch before those, and apart
// from those, that owe nothing.
func TestWhoOwesGoesFirst(t *testing.T) {
	w := newWorld(t, "ipv4", adding)
	var batches [][]*landing.Session
	w.cfg.NotAsking = true
	w.cfg.Entrust = func(all []*landing.Session) []func() {
		batches = append(batches, slices.Clone(all))
		return make([]func(), len(all))
	}
	var all []*adder
	for range 12 {
		a := w.dial()
		a.ask(3)
		a.rest()
		all = append(all, a)
	}
	waits := all[7]
	waits.deaf(true)
	waits.ask(2) // and is answered, into nothing
	w.until(w.s1, waits, func(_, written uint64) bool { return written == 8*5 })
	w.die(nil)
	waits.deaf(false)
	r := w.salvage()
	before := true
	for i, batch := range batches {
		for j, s := range batch {
			owes := len(s.Dump.Out)+len(s.Dump.In)+len(s.Image.Log) > 0 || s.Written != s.Image.Root().LSW
			if owes && !before || j > 0 && owes != before || !owes && s.Dump.Remote.String() == waits.LocalAddr().String() {
				t.Errorf("batch %d has %s, which owes something: %v", i, s.Dump.Remote, owes)
			}
			before = owes
		}
	}
	if before || len(batches) < 2 {
		t.Errorf("%d batches, and the last one owes something: %v", len(batches), before)
	}
	for _, a := range all {
		if o := outcome(t, r, a); o.Err != nil {
			t.Error(o.Err)
		}
		a.rest()
		a.ask(3)
		a.rest()
	}
}

// Sessions of one client's that were of different windows begin at once, each with its own.
func TestWindowsOfOnePeer(t *testing.T) {
	w := newWorld(t, "ipv4", adding)
	w.cfg.AtOnce = 4
	want := map[string]uint32{}
	for _, n := range []uint32{33, 10, 55, 33} {
		a := w.dial()
		a.ask(3)
		a.rest()
		want[a.LocalAddr().String()] = n
	}
	w.die(func(_ int, d *tcprepair.Dump, s *extracttest.Sock) {
		s.Set("tcp_sock.snd_cwnd", uint64(want[d.Remote.String()]))
	})
	if r := w.salvage(); r.Saved() != len(want) {
		t.Fatalf("%+v", r.Sessions)
	}
	for _, s := range w.s2.keep.Sessions() {
		if got := w.window(s.ID); got != want[s.Remote.String()] {
			t.Errorf("a window of %d segments, want %d", got, want[s.Remote.String()])
		}
	}
	w.noRoutes()
}
