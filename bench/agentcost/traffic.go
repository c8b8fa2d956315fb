// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"time"

	"lazystate/mtcp/cbox"
	"lazystate/tools/testbed"
)

const (
	serveArg = "serve"
	service  = "traffic"
	message  = 100
	more     = 'd' // what a message begins with that asks for a download
)

// serve answers messages with themselves, until one asks for more.
func serve(socket, listen string) int {
	fmt.Fprintln(os.Stderr, "serve:", traffic(socket, listen))
	return 1
}

func traffic(socket, listen string) error {
	return testbed.Accept(socket, service, listen, cbox.Config{}, answer) // its end: the client is gone, or it is elsewhere
}

func answer(c *cbox.Conn) {
	defer c.Close()
	if b, _ := c.Import(); len(b) == 0 && !echo(c) {
		return
	}
	for b := make([]byte, 256<<10); ; {
		if _, err := c.Write(b); err != nil || c.Export([]byte{more}) != nil {
			return
		}
	}
}

// echo ends when more is asked for, or with the session.
func echo(c *cbox.Conn) bool {
	for b := make([]byte, message); ; {
		if _, err := io.ReadFull(c, b); err != nil {
			return false
		}
		if b[0] == more {
			return true
		}
		if _, err := c.Write(b); err != nil || c.Export(nil) != nil {
			return false
		}
	}
}

// converse counts answers a second. A window is open until something was counted
// in it: on a busy machine a short one may be over before anybody has run.
func converse(ctx context.Context, window time.Duration, conn net.Conn) (float64, error) {
	b, n, start := make([]byte, message), 0, time.Now()
	for n == 0 || time.Since(start) < window {
		_, err := conn.Write(b)
		if err == nil {
			_, err = io.ReadFull(conn, b)
		}
		if err != nil {
			return 0, errors.Join(err, ctx.Err())
		}
		n++
	}
	return float64(n) / time.Since(start).Seconds(), nil
}

// download counts megabytes a second, after a short beginning.
func download(ctx context.Context, window time.Duration, conn net.Conn) (float64, error) {
	b := make([]byte, message)
	b[0] = more
	if _, err := conn.Write(b); err != nil {
		return 0, err
	}
	b = make([]byte, 1<<20)
	var sum int
	var start time.Time
	for begun := time.Now(); sum == 0 || time.Since(start) < window; {
		n, err := conn.Read(b)
		if err != nil {
			return 0, errors.Join(err, ctx.Err())
		}
		if !start.IsZero() {
			sum += n
		} else if time.Since(begun) > window/10 {
			start = time.Now()
		}
	}
	return float64(sum) / 1e6 / time.Since(start).Seconds(), nil
}

// iperf3 is a stock client and server, from S1 to the client. It counts in whole
// seconds, twice as many as before if nothing has come in them.
func iperf3(ctx context.Context, window time.Duration, b *testbed.Bed) (speed float64, err error) {
	const port = "5201"
	server := exec.CommandContext(ctx, "iperf3", "--server", "--port", port)
	if err := b.S1.Try(server.Start); err != nil {
		return 0, err
	}
	defer func() {
		_ = server.Process.Kill() // it does not always end by itself, --one-off or not
		_ = server.Wait()
	}()
	client := []string{"--client", b.S1.Addr.Addr().String(), "--port", port, "--reverse", "--json", "--time"}
	for seconds := max(1, int(window.Seconds())); err == nil && speed == 0; seconds *= 2 {
		speed, err = received(ctx, b.Clients[0], append(client, fmt.Sprint(seconds)))
	}
	return speed, err
}

// received is what an iperf3 client says that it got, in megabytes a second.
func received(ctx context.Context, c *testbed.Client, args []string) (float64, error) {
	var out []byte
	var err error
	for range 100 { // until the server listens
		err = c.Try(func() (err error) {
			out, err = exec.CommandContext(ctx, "iperf3", args...).Output()
			return err
		})
		if err == nil || ctx.Err() != nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, out)
	}
	var r struct {
		End struct {
			Received struct {
				Bits float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		} `json:"end"`
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return 0, err
	}
	return r.End.Received.Bits / 8e6, nil
}
