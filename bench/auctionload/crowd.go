// SPDX-License-Identifier: Apache-2.0

package auctionload

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"lazystate/examples/auction/load"
	"lazystate/tools/testbed"
)

// Crowd asks from this process, so that what its clients see and what becomes of
// machines has one clock: half of them at each front end.
type Crowd struct {
	loads  [2]*load.Load
	stop   context.CancelFunc
	ended  sync.WaitGroup
	events Seen
}

// Seen is what the clients of each front end have seen.
type Seen [2][]load.Event

// Failed counts the requests that have no reply, or a wrong one.
func (s *Seen) Failed() (n int, one error) {
	for _, events := range s {
		for i := range events {
			if err := events[i].Err; err != nil {
				n, one = n+1, err
			}
		}
	}
	return n, one
}

// Crowd has clients begin.
func (s *Bed) Crowd(ctx context.Context, spec Spec) *Crowd {
	c := &Crowd{}
	ctx, c.stop = context.WithCancel(ctx)
	for i, at := range s.Fronts {
		l := spec.load(func(ctx context.Context) (net.Conn, error) { return s.Clients[0].Dial(ctx, at) })
		l.Clients = (spec.Clients + 1 - i) / len(s.Fronts)
		l.Seed, l.Name = spec.Seed*uint64(len(s.Fronts))+uint64(i), fmt.Sprintf("%d.%d", spec.Seed, i)
		l.Amounts = &s.amounts
		c.loads[i] = l
		c.ended.Go(func() { c.events[i] = l.Run(ctx) })
	}
	s.crowds = append(s.crowds, c)
	return c
}

// Settled waits until each client has had a reply: who has connected and is not accepted
// yet is in no box, and gets a reset.
func (c *Crowd) Settled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return testbed.Await(ctx, "a reply for each client", func() bool {
		return c.loads[0].Met()+c.loads[1].Met() == c.loads[0].Clients+c.loads[1].Clients
	})
}

// Open counts the requests that a front end has under way.
func (c *Crowd) Open(front int) int { return c.loads[front].Open() }

// End waits for the last replies.
func (c *Crowd) End() Seen {
	c.stop()
	c.ended.Wait()
	return c.events
}

// load is what a spec asks for; who dials is another matter.
func (s *Spec) load(dial func(context.Context) (net.Conn, error)) *load.Load {
	return &load.Load{
		Dial: dial, Clients: s.Clients, For: s.For, Mix: load.Named[s.Mix], Think: s.Think, Normal: s.Normal, Visit: s.Visit,
		Size: load.Size{Categories: categories, Users: users, Items: items}, Seed: s.Seed, Name: fmt.Sprint("seed ", s.Seed), Reply: patience,
	}
}

// Wait is that of a client which had asked when machines stopped. All but Client are
// since the detection; 0: there was no such moment.
type Wait struct {
	Client   string
	Live     time.Duration // its session goes on at the second front end
	Reissued time.Duration // its request was asked for again
	First    time.Duration // byte of the reply
}

// Waits are of those whom the crash has kept waiting: they had asked the first front
// end, if that has stopped, or their requests were asked for again at the detection.
// late are those of
// clients that asked the first front end between its end and the takeover: what they
// sent is lost, and their TCP sends it again when its own timer says so.
func (r *Recovery) Waits(seen Seen, front bool, reissued map[string]time.Time) (all []Wait, late []time.Duration) {
	for i, events := range seen {
		for j := range events {
			e := &events[j]
			if e.Err != nil || !e.First.After(r.Detected) {
				continue
			}
			stopped := front && i == 0
			again, is := reissued[e.Request]
			live := r.Lives[e.From]
			switch {
			case stopped && e.Sent.Before(r.Crashed), !stopped && is && e.Sent.Before(r.Detected):
				w := Wait{Client: e.From, First: e.First.Sub(r.Detected)}
				if is {
					w.Reissued = again.Sub(r.Detected)
				}
				if stopped && !live.IsZero() {
					w.Live = live.Sub(r.Detected)
				}
				all = append(all, w)
			case stopped && e.Sent.Before(live):
				late = append(late, e.First.Sub(e.Sent))
			}
		}
	}
	return all, late
}
