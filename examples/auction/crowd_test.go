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
// correctness). LAZYSTATE_SOAK=1: 40 runs of each death, of registrations and of bids
// alone as well.
func TestCrowd(t *testing.T) {
	runs, clients, mixes := lab.Count(1, 40), lab.Count(10, 40), []string{"bidding", "registrations", "bids"}
	for _, d := range deaths {
		for run := range runs {
			mix := mixes[run%len(mixes)]
			t.Run(fmt.Sprint(d.name, " ", mix, " ", run), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(uint64(run), 39))
				s := sited(t)
				l := s.crowd(clients, mix, uint64(run))
				done := make(chan []load.Event, 1)
				go func() { done <- l.Run(context.Background()) }()
				s.connected(clients)
				time.Sleep(time.Duration(rng.Int64N(int64(l.For / 2))))
				d.do(s)
				s.sound(<-done)
			})
		}
	}
}

// crowd is clients that hardly think: what is rare elsewhere is the rule.
func (s *site) crowd(clients int, mix string, seed uint64) *load.Load {
	_ = s.browser().Close() // somebody listens
	return &load.Load{
		Dial: func(ctx context.Context) (net.Conn, error) {
			return s.dial(ctx, "tcp", net.JoinHostPort(s.service.Addr().String(), servicePort))
		},
		Clients: clients, For: 2 * time.Second, Mix: load.Named[mix], Think: 0.01, Size: load.Size{Categories: 1, Users: 2, Items: 1},
		Seed: seed, Name: fmt.Sprint("crowd ", seed), Reply: 2 * keepertest.Hang,
	}
}

// connected waits until fe1 has the sessions of so many clients: one that has connected
// and was not accepted yet is in no box, and would get a reset.
func (s *site) connected(clients int) {
	s.t.Helper()
	for until := time.Now().Add(keepertest.Hang); len(s.fe[0].Keeper.Sessions()) < clients; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			s.t.Fatalf("%d of %d clients have sessions", len(s.fe[0].Keeper.Sessions()), clients)
		}
	}
}

func (s *site) sound(events []load.Event) {
	s.t.Helper()
	v, err := load.Check(s.t.Context(), s.dsn, events)
	if err != nil {
		s.t.Fatal(err)
	}
	if !v.Sound() || v.Done == 0 {
		s.t.Error(v)
	}
	var worst time.Duration
	for _, e := range events {
		worst = max(worst, e.Done.Sub(e.Sent))
	}
	s.t.Logf("%d requests, %d updates, the slowest took %v", len(events), v.Done, worst)
}
