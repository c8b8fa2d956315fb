// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"lazystate/mtcp/policy"
	"lazystate/tools/testbed"
)

// point of a trace: what has come, and when since the first byte.
type point struct {
	at    time.Duration
	bytes int
}

// trip is one client's.
type trip struct {
	trace          []point
	moves, refused int
}

func (t *trip) took() time.Duration { return t.trace[len(t.trace)-1].at }

// sample is how often the rate is looked at: of less than two chunks it would say
// more about where they are cut.
const sample = 2 * interval

// watch is a client's policy: what has come goes in, whether to move comes out.
type watch struct {
	rate   policy.Rate // alpha 1/8, 25 %
	looked time.Duration
}

func (w *watch) look(p point, moves int) (move bool) {
	if p.at-w.looked < sample {
		return false
	}
	w.looked = p.at
	return w.rate.Look(policy.Sample{At: p.at, Moves: moves, Received: uint64(p.bytes)}) != ""
}

// travel reads one stream, and moves when the policy says so.
func travel(ctx context.Context, b *testbed.Bed, moves bool) (t trip, err error) {
	c := b.Clients[0]
	conn, err := c.Dial(ctx, b.S1.Addr)
	if err != nil {
		return t, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	m := mover{at: b.S1, other: b.S2, ask: func(to *testbed.Site) error { return c.Move(ctx, testbed.Flow(conn), to.Addr) }}
	if !moves {
		m.ask = nil
	}
	if err := t.read(conn, &m); err != nil {
		return t, errors.Join(err, ctx.Err())
	}
	return t, nil
}

// read reads a stream to its end.
func (t *trip) read(conn net.Conn, m *mover) error {
	var w watch
	var start time.Time
	for buf, sum := make([]byte, 64<<10), 0; sum < total<<10; {
		n, err := conn.Read(buf)
		if err != nil {
			return fmt.Errorf("after %d bytes: %w", sum, err)
		}
		now := time.Now()
		if sum == 0 {
			start = now
		}
		sum += n
		p := point{now.Sub(start), sum}
		t.trace = append(t.trace, p)
		m.heard(t)
		if w.look(p, t.moves) {
			m.begin()
		}
	}
	m.wait(t)
	return nil
}

// mover has a session move, one move at a time, while its stream is read. A move
// that comes to nothing leaves it where it is, and may be asked for again.
type mover struct {
	at, other *testbed.Site
	ask       func(to *testbed.Site) error // nil: it stays
	outcome   chan error                   // nil: none is under way
}

func (m *mover) begin() {
	if m.ask == nil || m.outcome != nil {
		return
	}
	m.outcome = make(chan error, 1)
	go func(to *testbed.Site, outcome chan<- error) { outcome <- m.ask(to) }(m.other, m.outcome)
}

// heard notes a move that has ended.
func (m *mover) heard(t *trip) {
	select {
	case err := <-m.outcome:
		m.ended(t, err)
	default:
	}
}

// wait waits for one that is under way.
func (m *mover) wait(t *trip) {
	if m.outcome != nil {
		m.ended(t, <-m.outcome)
	}
}

func (m *mover) ended(t *trip, err error) {
	m.outcome = nil
	if err != nil {
		t.refused++
		return
	}
	t.moves++
	m.at, m.other = m.other, m.at
}
