// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"testing"
	"time"

	"lazystate/examples/outcome/pgtest"
	"lazystate/mtcp/keeper/keepertest"
	"lazystate/tools/lab"
)

// once checks that a bid was done once, and that its client was told of it.
func (s *site) once(b *browser, amount int64) {
	s.t.Helper()
	r, _ := b.hear()
	var p placed
	resultOf(s.t, r, &p)
	have := pgtest.Column[string](s.t, s.dsn, "SELECT format('bid %s of %s', id, amount) FROM bids")
	if want := fmt.Sprintf("bid %d of %d", p.Bid, amount); len(have) != 1 || have[0] != want {
		s.t.Errorf("the database has %q, the client was told of %q", have, want)
	}
	var d detail
	b.do(&d, "item", "item", 1)
	if d.Top != amount || d.Bids != 1 {
		s.t.Errorf("the item: %+v", d)
	}
}

// The machine of a middle tier dies at each point of its work on a bid; the other one
// has what it knew, asks PostgreSQL, and the client is told once (§3.6.7). In make test
// at two of the points.
func TestMiddleDies(t *testing.T) {
	for _, point := range []string{"exported", "committed", "begun", "replied"}[:lab.Count(2, 4)] {
		t.Run(point, func(t *testing.T) {
			env, there := waiting(t, point+":1")
			s := sited(t, env...)
			b := s.browserOf("mt1")
			b.ask("bid", "user", 2, "item", 1, "amount", 500)
			keepertest.Await(t, there[0])
			s.middleDies()()
			s.once(b, 500)
		})
	}
}

// What was adopted outlives the process that adopted it, and is not taken for the last
// word: of the first try, which was aborted with its machine, and of the second, at
// which the next process died, the second counts.
func TestAdopterDies(t *testing.T) {
	for _, point := range []string{"committed", "exported"}[:lab.Count(1, 2)] {
		t.Run(point, func(t *testing.T) {
			env, there := waiting(t, "exported:1")
			s := sitedEach(t, [2][]string{env, {keepertest.DieAt + "=" + point + ":1"}})
			b := s.browserOf("mt1")
			b.ask("bid", "user", 2, "item", 1, "amount", 500)
			keepertest.Await(t, there[0])
			s.middleDies()()
			select {
			case <-s.procs[1].Done():
			case <-time.After(keepertest.Hang):
				t.Fatal("mt2 does not come so far")
			}
			s.mt[1].Run(nil, s.middle[1]...)
			s.once(b, 500)
		})
	}
}

// All connections of a middle tier wait for a lock that a dead one holds, at a database
// that nobody has told. Who adopts ends that first, and needs none of them.
func TestAdopterWaitsForTheDead(t *testing.T) {
	env, there := waiting(t, "begun:1")
	s := sited(t, env...)
	all := []*browser{s.browserOf("mt1")}
	all[0].ask("bid", "user", 2, "item", 1, "amount", 500)
	keepertest.Await(t, there[0])
	for i := range connections + 1 {
		b := s.browserOf("mt2")
		b.ask("bid", "user", 2, "item", 1, "amount", 600+i)
		all = append(all, b)
	}
	s.until("mt2's connections, which wait", func() bool {
		n := pgtest.Column[int64](t, s.dsn, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'auction mt2' AND wait_event_type = 'Lock'")
		return n[0] == connections
	})
	s.middleDies()()
	done := 0
	for _, b := range all {
		r, _ := b.hear()
		if r.Result != nil {
			done++
		} else if r.Refused == "" { // a higher one was there first
			t.Errorf("%+v", r)
		}
	}
	if n := pgtest.Column[int64](t, s.dsn, "SELECT count(*) FROM bids"); done == 0 || n[0] != int64(done) {
		t.Errorf("clients were told of %d bids, the database has %d", done, n[0])
	}
}

// The machine of a front end dies while it waits for a middle tier, and with a reply
// in its hands.
func TestFrontDies(t *testing.T) {
	for _, point := range []string{"answered", "asked"}[:lab.Count(1, 2)] {
		t.Run(point, func(t *testing.T) {
			env, there := waiting(t, point+":1")
			s := sited(t, env...)
			b := s.browserOf("mt2")
			b.ask("bid", "user", 2, "item", 1, "amount", 500)
			keepertest.Await(t, there[0])
			s.frontDies()
			s.once(b, 500)
		})
	}
}

// Both machines die with one bid in their hands, in either order; in make soak at both
// points in each.
func TestBothDie(t *testing.T) {
	points := []string{"exported", "committed", "exported"}
	for i, d := range deaths[2:][:lab.Count(2, 3)] {
		for _, point := range points[i%2:][:lab.Count(1, 2)] {
			t.Run(d.name+" "+point, func(t *testing.T) {
				env, there := waiting(t, point+":1")
				s := sited(t, env...)
				b := s.browserOf("mt1")
				b.ask("bid", "user", 2, "item", 1, "amount", 500)
				keepertest.Await(t, there[0])
				d.do(s)
				s.once(b, 500)
			})
		}
	}
}

// A bid that came before its auction closed counts, also when that closes while it is
// in a dead machine's memory; one that came later does not.
func TestLateFailover(t *testing.T) {
	env, there := waiting(t, "taken:1")
	s := sited(t, env...)
	b, late := s.browserOf("mt1"), s.browserOf("mt2")
	b.ask("bid", "user", 2, "item", 1, "amount", 500)
	keepertest.Await(t, there[0])
	pgtest.Exec(t, s.dsn, "UPDATE items SET ends = clock_timestamp()")
	back := s.middleDies()
	late.ask("bid", "user", 2, "item", 1, "amount", 600)
	if r, _ := late.hear(); r.Refused == "" {
		t.Errorf("a bid on what has closed: %+v", r)
	}
	back()
	s.once(b, 500)
}
