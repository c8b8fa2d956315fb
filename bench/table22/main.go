// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/mtcp/cbox"
)

var program = trial.Program{
	Name: "table22", About: "cost of the calls of a service continuation (Table 2.2)", Runs: 200, Timeout: 5 * time.Minute,
	Takes:   func(o *trial.Options) time.Duration { return time.Duration(o.Runs*len(paper)) * 8 * time.Millisecond },
	Measure: measure,
}

func main() { program.Exit() }

// paper is Table 2.2, microseconds by KB of state.
var paper = []struct {
	kb                                                int
	eager, imports, associate, register, unregistered float64
}{{1, 22, 26, 150, 124, 69}, {5, 47, 68, 151, 148, 80}, {10, 114, 121, 154, 154, 81}}

// batch is how many exports are timed together: one is less than the clock costs.
const batch = 100

func measure(ctx context.Context, o *trial.Options) (*result.Figure, error) {
	fig := &result.Figure{Title: "Table 2.2: cost of the calls", X: "state, KB", Y: "us", LogY: true, Machine: result.Host()}
	fig.Notef("exports: means of %d in a row; register and unregister: to make a session's box and to give it up", batch)
	for _, row := range paper {
		x := float64(row.kb)
		fig.Paper("paper: eager export", x, row.eager)
		fig.Paper("paper: import", x, row.imports)
		fig.Paper("paper: associate", x, row.associate)
		fig.Paper("paper: register", x, row.register)
		fig.Paper("paper: unregister", x, row.unregistered)
		samples := map[string][]float64{}
		for range o.Runs {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := once(samples, row.kb<<10); err != nil {
				return nil, fmt.Errorf("%d KB: %w", row.kb, err)
			}
		}
		for _, k := range []string{"eager export", "lazy export, copied", "lazy export, in place", "import", "associate", "register", "unregister"} {
			fig.Add("ours: "+k, x, samples[k])
		}
		o.Logf("%d KB", row.kb)
	}
	return fig, nil
}

// once makes each call of one session.
func once(samples map[string][]float64, state int) error {
	client, server, err := connection()
	if err != nil {
		return err
	}
	defer client.Close()
	defer server.Close()
	var c, next *cbox.Conn
	b := make([]byte, state)
	for _, call := range []struct {
		name  string
		times int
		f     func() error
	}{
		{"register", 1, func() (err error) {
			c, err = cbox.Create(server, cbox.Config{Snapshot: state, Processes: 2, Channels: 1})
			return err
		}},
		{"associate", 1, func() error { _, err := c.Associate("back", 1); return err }},
		{"eager export", batch, func() error { return c.ExportEager(b) }},
		{"lazy export, copied", batch, func() error { return c.Export(b) }},
		{"lazy export, in place", batch, func() error { return c.Commit(state, false) }},
		{"import", 1, func() (err error) {
			if next, err = cbox.Resume(c.Region(), server, cbox.Config{}); err != nil {
				return err
			}
			if got, ok := next.Import(); !ok || len(got) != state {
				return fmt.Errorf("%d bytes of %d", len(got), state)
			}
			return nil
		}},
		{"unregister", 1, func() error { next.Abandon(); return nil }},
	} {
		start := time.Now()
		for range call.times {
			if err := call.f(); err != nil {
				return fmt.Errorf("%s: %w", call.name, err)
			}
		}
		samples[call.name] = append(samples[call.name], float64(time.Since(start))/1e3/float64(call.times))
	}
	c.Abandon()
	return nil
}

// connection is over loopback.
func connection() (client net.Conn, server *net.TCPConn, err error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		return nil, nil, err
	}
	conn, err := l.Accept()
	if err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	return client, conn.(*net.TCPConn), nil
}
