// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/internal/pause"
	"lazystate/tools/testbed"
)

var (
	batch   int
	batches int
)

var program = trial.Program{
	Name: "handoff", About: "what a move costs: idle, in a batch, and for a client that reads (section 2.7.1)", Runs: 200, Timeout: 20 * time.Minute,
	Flags: func(fs *flag.FlagSet) {
		fs.IntVar(&batch, "batch", 1000, "sessions that go at once")
		fs.IntVar(&batches, "batches", 7, "how often they do")
	},
	Takes: func(o *trial.Options) time.Duration {
		return time.Duration(3*o.Runs)*pace + time.Duration(batches)*(2*time.Second) + 15*time.Second
	},
	Measure: measure,
}

func main() {
	sinking()
	program.Exit()
}

const pace = 80 * time.Millisecond // a client may ask 16 times a second

var names = []string{"idle: frozen to live", "batch: CPU a session", "batch: frozen, a session", "stall of a download", "stall of an upload"}

func measure(ctx context.Context, o *trial.Options) (*result.Figure, error) {
	defer testbed.Done()
	fig := &result.Figure{
		Title: "What a move costs", X: "measurement", Y: "us", LogY: true, Machine: result.Host(), XNames: names, Columns: []string{"99 % us"},
	}
	fig.Notef("idle and batch: address takeover, scd move; a batch has %d idle sessions, and goes %d times; its CPU is that of both daemons' threads", batch, batches)
	fig.Notef("stall: the longest pause between two reads, or writes, within 40 ms of a move by the client's agent, its link unlimited; 0 is a client that never waits; one that uploads has %d KB of room for what waits in its own host", buffer>>10)
	fig.Notef("published: Prism 232 us a hand-off; Capybara's Linux baseline about 50 us of host time")
	stayed = 0
	for i, f := range []func(context.Context, *trial.Options) ([][]float64, error){idle, many, download, upload} {
		at := []int{1, 2, 4, 5}[i]
		all, err := f(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", names[at-1], err)
		}
		for j, s := range all {
			fig.Add("ours", float64(at+j), s, fmt.Sprintf("%.0f", result.Quantile(s, 0.99)))
			o.Logf("%s: %.1f us", names[at+j-1], result.Median(s))
		}
	}
	fig.Notef("stall: %d of %d moves did not take place, because the other server did not answer in time, and count too", stayed, 2*o.Runs)
	return fig, nil
}

// stayed is how many moves of either stream were given up by the agent.
var stayed int

// idleServer has sessions that wait, with a snapshot of 1 KB.
func idleServer(ctx context.Context, f func(b *testbed.Bed, c *testbed.Client) error) error {
	return testbed.Run(ctx, testbed.Config{Service: service, Clients: []testbed.Link{{}}}, func(b *testbed.Bed) error {
		if _, err := b.Serve(ctx, "ttcp", "serve", "--keeper", "KEEPER", "--listen", "[::]:PORT", "--idle", "--state", "1024"); err != nil {
			return err
		}
		return f(b, b.Clients[0])
	})
}

var shared = netip.AddrPortFrom(testbed.Shared, testbed.Port)

// idle is one session that goes back and forth.
func idle(ctx context.Context, o *trial.Options) (_ [][]float64, err error) {
	var us []float64
	err = idleServer(ctx, func(b *testbed.Bed, c *testbed.Client) error {
		conn, err := c.Dial(ctx, shared)
		if err != nil {
			return err
		}
		defer conn.Close()
		return takeovers(ctx, b, o.Runs, 1, func(m testbed.Moved, _ time.Duration) { us = append(us, float64(m.FrozenUs)) })
	})
	return [][]float64{us}, err
}

// takeovers moves the address n times, with so many sessions.
func takeovers(ctx context.Context, b *testbed.Bed, n, sessions int, tell func(m testbed.Moved, cpu time.Duration)) error {
	from, to := b.S1, b.S2
	for range n {
		if err := from.Settled(ctx, sessions); err != nil {
			return err
		}
		if err := pause.For(ctx, pace/2); err != nil {
			return err
		}
		before, err := cpu(b)
		if err != nil {
			return err
		}
		m, err := from.Takeover(ctx, to)
		if err != nil {
			return err
		}
		after, err := cpu(b)
		if err != nil {
			return err
		}
		if m.Sessions != sessions {
			return fmt.Errorf("%d sessions of %d have moved", m.Sessions, sessions)
		}
		tell(m, after-before)
		from, to = to, from
	}
	return nil
}

// cpu is what both daemons have used so far.
func cpu(b *testbed.Bed) (time.Duration, error) {
	one, err := b.S1.SCD.CPU()
	other, err2 := b.S2.SCD.CPU()
	return one + other, errors.Join(err, err2)
}

func many(ctx context.Context, _ *trial.Options) (_ [][]float64, err error) {
	var each, frozen []float64
	err = idleServer(ctx, func(b *testbed.Bed, c *testbed.Client) error {
		conns, err := dialAll(ctx, c, batch)
		defer func() {
			for _, conn := range conns {
				conn.Close()
			}
		}()
		if err != nil {
			return err
		}
		return takeovers(ctx, b, batches, batch, func(m testbed.Moved, cpu time.Duration) {
			each = append(each, float64(cpu)/1e3/float64(batch))
			frozen = append(frozen, float64(m.FrozenUs)/float64(batch))
		})
	})
	return [][]float64{each, frozen}, err
}

func dialAll(ctx context.Context, c *testbed.Client, n int) (all []net.Conn, err error) {
	for range n {
		conn, err := c.Dial(ctx, shared)
		if err != nil {
			return all, err
		}
		all = append(all, conn)
	}
	return all, nil
}

// download is of a client that reads as fast as it can, and moves.
func download(ctx context.Context, o *trial.Options) ([][]float64, error) {
	server := []string{"ttcp", "serve", "--keeper", "KEEPER", "--listen", "[::]:PORT", "--lazy", "--size", fmt.Sprint(1 << 50)}
	return stalls(ctx, o, server, func(conn net.Conn, w *watch) {
		_, _ = io.CopyBuffer(w, struct{ io.Reader }{conn}, make([]byte, 256<<10)) // until the client is gone
	})
}

// upload is of one that writes as fast as it can.
func upload(ctx context.Context, o *trial.Options) ([][]float64, error) {
	return stalls(ctx, o, []string{testbed.Self, sinkArg, "KEEPER", "[::]:PORT"}, func(conn net.Conn, w *watch) {
		if err := conn.(*net.TCPConn).SetWriteBuffer(buffer); err == nil {
			writes(conn, w)
		}
	})
}

// stalls are of a client that moves while it does as it is told.
func stalls(ctx context.Context, o *trial.Options, server []string, goOn func(conn net.Conn, w *watch)) (_ [][]float64, err error) {
	var us []float64
	err = testbed.Run(ctx, testbed.Config{Service: service, Clients: []testbed.Link{{Agent: true}}}, func(b *testbed.Bed) error {
		if _, err := b.Serve(ctx, server[0], server[1:]...); err != nil {
			return err
		}
		c := b.Clients[0]
		conn, err := c.Dial(ctx, b.S1.Addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		w, given := &watch{}, 0
		go goOn(conn, w)
		if err := c.FirstMove(ctx, conn, b.S2); err != nil {
			return err
		}
		to, next := b.S1, b.S2
		for range o.Runs {
			if err := pause.For(ctx, pace-window); err != nil {
				return err
			}
			w.begin()
			err := c.Move(ctx, testbed.Flow(conn), to.Addr)
			if e := pause.For(ctx, window); e != nil {
				return e
			}
			us = append(us, float64(w.longest())/1e3)
			if err == nil {
				to, next = next, to
				continue
			}
			if stayed, given = stayed+1, given+1; given > max(o.Runs/4, 1) {
				return err
			}
		}
		return nil
	})
	return [][]float64{us}, err
}

const window = 40 * time.Millisecond

// watch is told of reads, or writes, and knows the longest pause since begin.
type watch struct {
	mu   sync.Mutex
	last time.Time
	most time.Duration
}

func (w *watch) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if !w.last.IsZero() {
		w.most = max(w.most, now.Sub(w.last))
	}
	w.last = now
	return len(b), nil
}

func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.most = 0
}

// longest counts a pause that goes on.
func (w *watch) longest() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return max(w.most, time.Since(w.last))
}
