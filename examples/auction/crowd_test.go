// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"lazystate/examples/auction/load"
	"lazystate/mtcp/keeper/keepertest"
	"lazystate/tools/lab"
)

// deaths are whose machines die, and in which order.
var deaths = []struct {
	name string
	do   func(s *site)
}{
	{"front", func(s *site) { s.frontDies() }},
	{"middle", func(s *site) { s.middleDies()() }},
	{"front then middle", func(s *site) { s.frontDies(); s.middleDies()() }},
	{"middle then front", func(s *site) { s.middleDies()(); s.frontDies() }},
	{"both at once", func(s *site) { back := s.middleDies(); s.frontDies(); back() }},
}

// A crowd asks for all there is while machines die at random moments: each reply is
// that of its request, and the database has each update once (§3.9.4, failover
// correctness). TestConsistency is the paper's.
func TestCrowd(t *testing.T) {
	some := deaths
	if !lab.Soak() {
		some = deaths[len(deaths)-1:]
	}
	for _, d := range some {
		for run := range lab.Count(1, 10) {
			t.Run(fmt.Sprint(d.name, " ", run), func(t *testing.T) {
				s := sited(t)
				l := s.crowd(lab.Count(10, 40), "bidding", uint64(run))
				s.sound(s.asked(l, rand.New(rand.NewPCG(uint64(run), 39)), func() { d.do(s) }))
			})
		}
	}
}

// crowd is clients that hardly think: what is rare elsewhere is the rule.
func (s *site) crowd(clients int, mix string, seed uint64) *load.Load {
	return &load.Load{
		Dial: func(ctx context.Context) (net.Conn, error) {
			return s.dial(ctx, "tcp", net.JoinHostPort(s.service.Addr().String(), servicePort))
		},
		Clients: clients, Mix: load.Named[mix], Think: 0.01, Size: load.Size{Categories: 1, Users: 2, Items: 1},
		Seed: seed, Name: fmt.Sprint("crowd ", seed), Reply: 2 * keepertest.Hang,
	}
}

// A crowd is at work when each client has asked so often, on average.
const atWork = 3

// asked has a crowd ask before, while and after something happens. Who has connected
// and was not accepted yet is in no box, and would get a reset: so all have had a
// reply by then.
func (s *site) asked(l *load.Load, rng *rand.Rand, happens func()) []load.Event {
	s.t.Helper()
	ctx, stop := context.WithCancel(s.t.Context())
	defer stop()
	done := make(chan []load.Event, 1)
	go func() { done <- l.Run(ctx) }()
	s.until("all clients at work", func() bool { return l.Met() == l.Clients && l.Ended() >= atWork*l.Clients })
	time.Sleep(time.Duration(rng.Int64N(int64(500 * time.Millisecond))))
	happens()
	before := l.Ended()
	s.until("all clients at work again", func() bool { return l.Ended() >= before+atWork*l.Clients })
	stop()
	return <-done
}

func (s *site) until(what string, f func() bool) {
	s.t.Helper()
	for late := time.Now().Add(2 * keepertest.Hang); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(late) {
			s.t.Fatalf("%s: it does not come", what)
		}
	}
}

// sound checks replies and database.
func (s *site) sound(events []load.Event) *load.Verdict {
	s.t.Helper()
	v, err := load.Check(s.t.Context(), s.dsn, events)
	if err != nil {
		s.t.Fatal(err)
	}
	if !v.Sound() || v.Done == 0 {
		s.t.Error(v)
	}
	s.t.Logf("%d updates; %v", v.Done, load.Sum(events))
	return v
}
