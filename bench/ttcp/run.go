// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"lazystate/bench/trial"
	"lazystate/internal/pause"
	"lazystate/tools/testbed"
)

// serving runs f with the servers of one kind.
func serving(ctx context.Context, s server, clients []testbed.Link, f func(b *testbed.Bed) error) error {
	return testbed.Run(ctx, testbed.Config{Service: "ttcp", Clients: clients}, func(b *testbed.Bed) error {
		if set.processes > 1 && !s.base {
			if _, err := b.Start("ttcp", s.back()...); err != nil {
				return err
			}
		}
		if _, err := b.Serve(ctx, "ttcp", s.args()...); err != nil {
			return err
		}
		return f(b)
	})
}

// kinds are the servers that are compared.
func kinds() []server {
	all := []server{{base: true}}
	for _, kb := range states {
		all = append(all, server{lazy: true, kb: kb}, server{kb: kb})
	}
	return all
}

// unlimited has a client that stays read from each server in turn.
func unlimited(ctx context.Context, o *trial.Options, s *samples) error {
	return all(ctx, kinds(), nil, func(beds []*testbed.Bed) error {
		for round := range set.rounds {
			for i := range beds {
				k := (i + round) % len(beds) // none is always the first
				r, err := download(ctx, beds[k], beds[k].Clients[0], 0)
				if err != nil {
					return err
				}
				s.add(key{kinds()[k], 0, true}, r)
			}
			o.Logf("unlimited: round %d of %d", round+1, set.rounds)
		}
		return nil
	})
}

// all opens a bed for each of some servers, one in another.
func all(ctx context.Context, left []server, beds []*testbed.Bed, f func([]*testbed.Bed) error) error {
	if len(left) == 0 {
		return f(beds)
	}
	return serving(ctx, left[0], []testbed.Link{{}}, func(b *testbed.Bed) error { return all(ctx, left[1:], append(beds, b), f) })
}

// limited has clients that stay and that move read at the same time, each over
// a link of its own.
func limited(ctx context.Context, o *trial.Options, s *samples) error {
	for run := range o.Runs {
		for _, kb := range states {
			at := []server{{lazy: true, kb: kb}, {kb: kb}}
			if kb == states[0] {
				at = append(at, server{base: true})
			}
			if err := together(ctx, at, s); err != nil {
				return err
			}
			o.Logf("run %d, %d KB", run+1, kb)
		}
	}
	return nil
}

func together(ctx context.Context, servers []server, s *samples) error {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var errs error
	for _, srv := range servers {
		wg.Go(func() {
			got, err := clients(ctx, srv)
			mu.Lock()
			defer mu.Unlock()
			errs = errors.Join(errs, err)
			for k, r := range got {
				s.add(k, r)
			}
		})
	}
	wg.Wait()
	return errs
}

func clients(ctx context.Context, srv server) (map[key]one, error) {
	ps := periods
	if srv.base {
		ps = periods[:1]
	}
	var links []testbed.Link
	for range ps {
		links = append(links, testbed.Link{Bits: set.mbit * 1e6, Agent: true})
	}
	got := map[key]one{}
	err := serving(ctx, srv, links, func(b *testbed.Bed) error {
		var mu sync.Mutex
		var wg sync.WaitGroup
		var errs error
		for i, p := range ps {
			wg.Go(func() {
				r, err := download(ctx, b, b.Clients[i], p)
				mu.Lock()
				defer mu.Unlock()
				errs = errors.Join(errs, err)
				got[key{srv, p, false}] = r
			})
		}
		wg.Wait()
		return errs
	})
	return got, err
}

// download reads one stream; with a period it moves meanwhile.
func download(ctx context.Context, b *testbed.Bed, c *testbed.Client, period time.Duration) (r one, err error) {
	conn, err := c.Dial(ctx, b.S1.Addr)
	if err != nil {
		return r, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	ctx, cancel := context.WithCancel(ctx)
	moved := make(chan struct{})
	go func() {
		if period > 0 {
			r.moves, r.stayed = keepMoving(ctx, b, c, testbed.Flow(conn), period)
		}
		close(moved)
	}()
	start, last, sum := time.Now(), time.Now(), uint64(0)
	for buf := make([]byte, 256<<10); err == nil; {
		var n int
		n, err = conn.Read(buf)
		now := time.Now()
		if sum > 0 {
			r.gap = max(r.gap, now.Sub(last))
		}
		last, sum = now, sum+uint64(n)
	}
	cancel()
	if err == io.EOF {
		err = nil
	}
	if err == nil && sum != set.size {
		err = fmt.Errorf("%d bytes of %d", sum, set.size)
	}
	<-moved
	r.kbs = float64(sum) / 1e3 / last.Sub(start).Seconds()
	return r, err
}

// keepMoving goes to and fro between the servers until ctx ends. An attempt that
// comes to nothing leaves the client where it is until the next one.
func keepMoving(ctx context.Context, b *testbed.Bed, c *testbed.Client, flow string, period time.Duration) (moves, stayed int) {
	to, next := b.S2, b.S1
	for pause.For(ctx, period) == nil {
		switch err := c.Move(ctx, flow, to.Addr); {
		case err == nil:
			moves++
			to, next = next, to
		case ctx.Err() == nil:
			stayed++
		}
	}
	return moves, stayed
}
