// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"lazystate/internal/pause"
)

// Load is what is asked of an auction.
type Load struct {
	Dial    func(ctx context.Context) (net.Conn, error)
	Clients int
	For     time.Duration // new requests are made so long
	Mix     Mix
	Think   float64 // times TPC-W's think time, a mean of 7 s; 0: none
	Visit   int     // mean of requests over a connection; 0: one lasts for all
	Size    Size
	Seed    uint64
	Name    string        // prefix of all that is unique; another for each run on a database
	Reply   time.Duration // a client waits for one so long

	amount atomic.Int64
	next   atomic.Int64
}

// Size is of what was there before the first request; ids begin with 1.
type Size struct{ Categories, Users, Items int }

// Event is one request, and what became of it.
type Event struct {
	Client            int
	Kind              string
	Sent, First, Done time.Time // First: of the reply's bytes
	Bytes             int       // of the reply, with its header
	Connected         bool      // over a new connection
	Key               string    // what is unique in an update; empty: it is none
	ID                int64     // of the row, as the reply says; 0: it says no
	Refused           bool      // for a reason that the reply says
	Err               error     // no reply, or a wrong one
}

// TPC-W 5.3.1.1: a negative exponential distribution, cut at ten times its mean.
const (
	thinkMean = 7 * time.Second
	thinkMost = 10
)

func (l *Load) think(rng *rand.Rand) time.Duration {
	return time.Duration(l.Think * float64(thinkMean) * min(rng.ExpFloat64(), thinkMost))
}

// Run returns when all clients have their last replies.
func (l *Load) Run(ctx context.Context) []Event {
	var mu sync.Mutex
	var all []Event
	var wg sync.WaitGroup
	end := time.Now().Add(l.For)
	for i := range l.Clients {
		wg.Go(func() {
			c := &client{l: l, n: i, rng: rand.New(rand.NewPCG(l.Seed, uint64(i)))}
			c.run(ctx, end)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, c.events...)
		})
	}
	wg.Wait()
	return all
}

// client is one of them.
type client struct {
	l      *Load
	n      int
	rng    *rand.Rand
	conn   *conn
	left   int // of this visit
	events []Event
}

func (c *client) run(ctx context.Context, end time.Time) {
	defer c.leave()
	first := c.l.think(c.rng) // they do not all come at once
	for wait := time.Duration(float64(first) * c.rng.Float64()); ; wait = c.l.think(c.rng) {
		if time.Now().Add(wait).After(end) || pause.For(ctx, wait) != nil || time.Now().After(end) {
			return
		}
		e := c.one(ctx)
		c.events = append(c.events, e)
		if e.Err != nil && pause.For(ctx, again) != nil {
			return
		}
	}
}

// again keeps a client that cannot connect from doing nothing else.
const again = 100 * time.Millisecond

func (c *client) leave() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// one makes a request. An error ends the visit.
func (c *client) one(ctx context.Context) Event {
	q := c.l.Mix.draw(c)
	e := Event{Client: c.n, Kind: q.kind, Key: q.key, Sent: time.Now()}
	if c.conn == nil {
		conn, err := c.l.Dial(ctx)
		if err != nil {
			e.Err = err
			return e
		}
		c.conn, e.Connected, c.left = newConn(conn), true, c.visit()
	}
	if e.Err = c.conn.ask(&e, q, c.l.Reply); e.Err != nil {
		c.leave()
		return e
	}
	if c.left--; c.left == 0 {
		c.leave()
	}
	return e
}

// visit is how many requests there will be over a new connection: a geometric
// distribution, of which a mean is known.
func (c *client) visit() int {
	if c.l.Visit == 0 {
		return -1
	}
	n := 1
	for c.rng.IntN(c.l.Visit) != 0 {
		n++
	}
	return n
}
