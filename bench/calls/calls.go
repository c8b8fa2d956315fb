// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"lazystate/mtcp/cbox"
)

// Batch is how many exports are timed together: one is less than the clock costs.
const Batch = 100

// Names are those of the calls, in the order of Table 2.2.
var Names = []string{"eager export", "lazy export, copied", "lazy export, in place", "import", "associate", "register", "unregister"}

// Once makes each call of one session whose state has so many bytes, and adds the
// microseconds of each to its samples.
func Once(samples map[string][]float64, state int) error {
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
		{"eager export", Batch, func() error { return c.ExportEager(b) }},
		{"lazy export, copied", Batch, func() error { return c.Export(b) }},
		{"lazy export, in place", Batch, func() error { return c.Commit(state, false) }},
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

// RoundTrip returns the microseconds of one byte to the client and back, the mean of n.
func RoundTrip(n int) (us float64, err error) {
	client, server, err := connection()
	if err != nil {
		return 0, err
	}
	defer client.Close()
	c, err := cbox.Create(server, cbox.Config{})
	if err != nil {
		return 0, errors.Join(err, server.Close())
	}
	defer c.Abandon()
	go func() { _, _ = io.Copy(client, client) }()
	b := make([]byte, 1)
	start := time.Now()
	for i := range n {
		if _, err := c.Write(b); err != nil {
			return 0, err
		}
		if _, err := io.ReadFull(c, b); err != nil {
			return 0, err
		}
		if i%64 == 63 { // or the log would be full
			if err := c.Export(nil); err != nil {
				return 0, err
			}
		}
	}
	return float64(time.Since(start)) / 1e3 / float64(n), nil
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
