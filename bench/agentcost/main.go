// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"time"

	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/tools/testbed"
)

var program = trial.Program{
	Name: "agentcost", About: "what a client's agent costs its connections (section 2.5.2)", Runs: 9, Timeout: 15 * time.Minute, Window: time.Second,
	Takes: func(o *trial.Options) time.Duration {
		return time.Duration(o.Runs*(2*len(ways)+2))*(o.Window+100*time.Millisecond) + time.Duration(len(ways))*4*time.Second
	},
	Measure: measure,
}

func main() {
	if len(os.Args) == 4 && os.Args[1] == serveArg {
		os.Exit(serve(os.Args[2], os.Args[3]))
	}
	program.Exit()
}

// way is what a client's segments meet.
type way struct {
	name  string
	link  testbed.Link
	moved bool
}

var ways = []way{
	{"no agent", testbed.Link{}, false},
	{"agent, not moved", testbed.Link{Agent: true}, false},
	{"moved, TCX", testbed.Link{Agent: true, Args: []string{"--hook", "tcx"}}, true},
	{"moved, clsact", testbed.Link{Agent: true, Args: []string{"--hook", "clsact"}}, true},
}

func measure(ctx context.Context, o *trial.Options) (fig *result.Figure, err error) {
	defer testbed.Done()
	fig = &result.Figure{Title: "What the client's agent costs", X: "way", Y: "% of the same without an agent", Machine: result.Host(), Columns: []string{"MB/s or 1/s"}}
	for _, w := range ways {
		fig.XNames = append(fig.XNames, w.name)
	}
	fig.Notef("%v for each measurement, in turns, each against the one without an agent in the same round; links are as fast as the processors", o.Window)
	err = beds(ctx, ways, nil, func(all []*testbed.Bed) error {
		s := samples{}
		for round := range o.Runs {
			if err := s.round(ctx, o, all); err != nil {
				return err
			}
			o.Logf("round %d of %d", round+1, o.Runs)
		}
		s.fill(fig)
		return nil
	})
	return fig, err
}

// beds opens one for each way, one in another.
func beds(ctx context.Context, left []way, all []*testbed.Bed, f func([]*testbed.Bed) error) error {
	if len(left) == 0 {
		return f(all)
	}
	return testbed.Run(ctx, testbed.Config{Service: service, Clients: []testbed.Link{left[0].link}}, func(b *testbed.Bed) error {
		if _, err := b.Serve(ctx, testbed.Self, serveArg, "KEEPER", "[::]:PORT"); err != nil {
			return err
		}
		return beds(ctx, left[1:], append(all, b), f)
	})
}

// kinds of traffic.
const (
	bulk = iota
	pingPong
	iperf
)

var kinds = []string{"ours: bulk", "ours: ping-pong of 100 bytes", "ours: iperf3"}

// samples are by kind and way; 0 is one that was not measured.
type samples [3][4][]float64

func (s *samples) round(ctx context.Context, o *trial.Options, all []*testbed.Bed) error {
	for kind, f := range []func(context.Context, time.Duration, net.Conn) (float64, error){download, converse} {
		for i, b := range all {
			v, err := connected(ctx, o.Window, b, ways[i].moved, f)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", kinds[kind], ways[i].name, err)
			}
			s[kind][i] = append(s[kind][i], v)
		}
	}
	if _, err := exec.LookPath("iperf3"); err != nil {
		return nil // a peer: without it the other two are measured
	}
	for i := range 2 {
		v, err := iperf3(ctx, o.Window, all[i])
		if err != nil {
			return fmt.Errorf("iperf3, %s: %w", ways[i].name, err)
		}
		s[iperf][i] = append(s[iperf][i], v)
	}
	return nil
}

func (s *samples) fill(fig *result.Figure) {
	for kind, name := range kinds {
		for i, values := range s[kind] {
			var part []float64
			for r, v := range values {
				part = append(part, 100*v/s[kind][0][r])
			}
			fig.Add(name, float64(i+1), part, fmt.Sprintf("%.4g", result.Median(values)))
		}
	}
}

// connected measures one connection, which has moved if it should.
func connected(ctx context.Context, window time.Duration, b *testbed.Bed, moved bool, f func(context.Context, time.Duration, net.Conn) (float64, error)) (float64, error) {
	c := b.Clients[0]
	conn, err := c.Dial(ctx, b.S1.Addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if moved {
		if _, err := converse(ctx, 10*time.Millisecond, conn); err != nil {
			return 0, err
		}
		if err := c.FirstMove(ctx, conn, b.S2); err != nil {
			return 0, err
		}
	}
	return f(ctx, window, conn)
}
