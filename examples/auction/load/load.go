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
	For     time.Duration // new requests are made so long; 0: as long as Run's context lasts
	Mix     Mix
	Think   float64 // times TPC-W's think time, a mean of 7 s; 0: none
	Normal  bool    // think times are normally distributed, as in Figure 3.11
	Visit   int     // mean of requests over a connection; 0: one lasts for all
	Size    Size
	Seed    uint64
	Name    string        // prefix of all that is unique; another for each run on a database
	Reply   time.Duration // a client waits for one so long
	Amounts *atomic.Int64 // of the last bid, for all runs on a database; nil: there is no other

	amount atomic.Int64
	next   atomic.Int64
	met    atomic.Int64
	ended  atomic.Int64
	open   atomic.Int64
}

// bid is the next amount: those of one item rise, and none is bid twice.
func (l *Load) bid() int64 {
	last := l.Amounts
	if last == nil {
		last = &l.amount
	}
	return 1000 + last.Add(1)
}

// Met counts the clients that have had a reply: with one connection each, whose server
// has accepted them.
func (l *Load) Met() int { return int(l.met.Load()) }

// Ended counts the requests that have a reply, or will have none.
func (l *Load) Ended() int { return int(l.ended.Load()) }

// Open counts the requests that are under way.
func (l *Load) Open() int { return int(l.open.Load()) }

// Size is of what was there before the first request; ids begin with 1.
type Size struct{ Categories, Users, Items int }

// Event is one request, and what became of it.
type Event struct {
	Client            int
	From              string // the client's end of its connection
	Kind              string
	Request           string    // what the front end calls it
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

// spread is a normal think time's standard deviation, in means; the dissertation does
// not say it.
const spread = 1.0 / 3

func (l *Load) think(rng *rand.Rand) time.Duration {
	if l.Normal {
		return time.Duration(l.Think * float64(thinkMean) * max(0, 1+spread*rng.NormFloat64()))
	}
	return time.Duration(l.Think * float64(thinkMean) * min(rng.ExpFloat64(), thinkMost))
}

// Run returns when all clients have their last replies. The end of ctx is the end of
// new requests: those that are under way are waited for all the same.
func (l *Load) Run(ctx context.Context) []Event {
	if l.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.For)
		defer cancel()
	}
	var mu sync.Mutex
	var all []Event
	var wg sync.WaitGroup
	for i := range l.Clients {
		wg.Go(func() {
			c := &client{l: l, n: i, rng: rand.New(rand.NewPCG(l.Seed, uint64(i)))}
			c.run(ctx)
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
	left   int  // of this visit
	met    bool // has had a reply
	events []Event
}

func (c *client) run(ctx context.Context) {
	defer c.leave()
	first := c.l.think(c.rng) // they do not all come at once
	for wait := time.Duration(float64(first) * c.rng.Float64()); pause.For(ctx, wait) == nil; wait = c.l.think(c.rng) {
		c.l.open.Add(1)
		e := c.one(context.WithoutCancel(ctx))
		c.l.open.Add(-1)
		c.l.ended.Add(1)
		if e.Err == nil && !c.met {
			c.met = true
			c.l.met.Add(1)
		}
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
		dialing, cancel := context.WithTimeout(ctx, c.l.Reply)
		conn, err := c.l.Dial(dialing)
		cancel()
		if err != nil {
			e.Err = err
			return e
		}
		c.conn, e.Connected, c.left = newConn(conn), true, c.visit()
	}
	e.From = c.conn.LocalAddr().String()
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
