// SPDX-License-Identifier: Apache-2.0

package auctionload

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"lazystate/examples/auction/load"
	"lazystate/tools/testbed"
)

// Arg is the first argument of a process that is the load.
const Arg = "auctionload"

// Spec is what is asked for.
type Spec struct {
	Clients int
	For     time.Duration
	Mix     string
	Think   float64
	Normal  bool
	Visit   int
	Seed    uint64
	Fronts  []netip.AddrPort
	Bid     int64 // the last amount that others have
}

// mostBids is more than one load makes.
const mostBids = 1 << 24

// Outcome is what became of it.
type Outcome struct {
	Replies  int
	Rate     float64 // a second
	MeanMs   float64
	WorstMs  float64
	Failures []string
	Updates  []Update
}

// Update is what a client was told of one that it has asked for.
type Update struct {
	Kind, Key       string
	ID              int64
	Refused, Failed bool // Failed: it was told nothing
}

// updates of all that was asked for.
func updates(events []load.Event) (all []Update) {
	for i := range events {
		if e := &events[i]; e.Key != "" {
			all = append(all, Update{e.Kind, e.Key, e.ID, e.Refused, e.Err != nil})
		}
	}
	return all
}

var errFailed = errors.New("its request failed")

// event is an update as load.Check wants it.
func (u Update) event() load.Event {
	e := load.Event{Kind: u.Kind, Key: u.Key, ID: u.ID, Refused: u.Refused}
	if u.Failed {
		e.Err = errFailed
	}
	return e
}

// Main is the load, if this process is one; it does not return then.
func Main() {
	testbed.Child(Arg, func(s Spec) Outcome { return s.run(context.Background()) })
}

func (s *Spec) run(ctx context.Context) (out Outcome) {
	var dialed atomic.Uint64
	l := s.load(func(ctx context.Context) (net.Conn, error) { // half of them to each
		at := s.Fronts[dialed.Add(1)%uint64(len(s.Fronts))]
		return (&net.Dialer{}).DialContext(ctx, "tcp", at.String())
	})
	l.Amounts = &atomic.Int64{}
	l.Amounts.Store(s.Bid)
	sum := load.Sum(l.Run(ctx))
	for _, e := range sum.Events {
		if e.Err != nil {
			out.Failures = append(out.Failures, e.Err.Error())
		}
	}
	out.Updates = updates(sum.Events)
	out.Replies, out.Rate, out.MeanMs, out.WorstMs = sum.Replies, sum.Rate(), sum.Mean.Seconds()*1e3, sum.Worst.Seconds()*1e3
	return out
}

// Load has clients ask; a failure is an error, for here nothing dies.
func (s *Bed) Load(ctx context.Context, spec Spec) (out Outcome, err error) {
	spec.Fronts = s.Fronts[:]
	spec.Bid = s.amounts.Add(mostBids) - mostBids
	out, err = testbed.Ask[Spec, Outcome](ctx, s.Bed, s.Clients[0].Host, Arg, spec)
	for _, u := range out.Updates {
		s.told = append(s.told, u.event())
	}
	if err == nil && len(out.Failures) > 0 {
		err = fmt.Errorf("%d requests failed, one by: %s", len(out.Failures), out.Failures[0])
	}
	return out, err
}
