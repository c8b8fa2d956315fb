// SPDX-License-Identifier: Apache-2.0

package webload

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"lazystate/tools/testbed"
)

// Spec is what is asked of a server.
type Spec struct {
	Rate     float64       // requests a second, of all clients together
	For      time.Duration // so long new ones come
	Deadline time.Duration // a request that is not done by then has failed
	MoveAt   time.Duration // what takes longer is moved; 0: nothing is
	Files    []int
	Seed     uint64

	Server, Other netip.AddrPort
	Agent         string // socket of the machine's mtcpd
}

// Outcome is what has become of the requests.
type Outcome struct {
	Requests, Done int
	Moved, Refused int   // moves that took place, and attempts that did not
	All, Away      []int // sizes of what was asked for, and of what has moved
	Millis         []float64
}

func (o *Outcome) add(p Outcome) {
	o.Requests += p.Requests
	o.Done += p.Done
	o.Moved += p.Moved
	o.Refused += p.Refused
	o.All = append(o.All, p.All...)
	o.Away = append(o.Away, p.Away...)
	o.Millis = append(o.Millis, p.Millis...)
}

// Run has all clients of a bed ask S1.
func Run(ctx context.Context, b *testbed.Bed, s Spec) (out Outcome, err error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	s.Server, s.Other, s.Rate = b.S1.Addr, b.S2.Addr, s.Rate/float64(len(b.Clients))
	for i, c := range b.Clients {
		one := s
		one.Agent, one.Seed = c.Socket(), s.Seed*1000+uint64(i)
		wg.Go(func() {
			got, e := testbed.Ask[Spec, Outcome](ctx, b, c.Host, Arg, one)
			mu.Lock()
			defer mu.Unlock()
			err = errors.Join(err, e)
			out.add(got)
		})
	}
	wg.Wait()
	slices.Sort(out.Millis)
	return out, err
}
