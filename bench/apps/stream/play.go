// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// report is what the clients heard.
type report struct {
	Streams   int     `json:"streams"`
	Bytes     int64   `json:"bytes"`
	Seconds   float64 `json:"seconds"`
	LongestMS float64 `json:"longest_gap_ms"` // between two reads of one stream
}

// play opens n streams and listens to all of them for length.
func play(ctx context.Context, addr string, n int, length time.Duration) (report, error) {
	ctx, cancel := context.WithTimeout(ctx, length+10*time.Second)
	defer cancel()
	conns := make([]net.Conn, 0, n)
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	var d net.Dialer
	for i := range n {
		c, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return report{}, fmt.Errorf("stream %d of %d: %w", i+1, n, err)
		}
		conns = append(conns, c)
	}
	return listen(ctx, conns, length), nil
}

func listen(ctx context.Context, conns []net.Conn, length time.Duration) report {
	start := time.Now()
	heard := make([]int64, len(conns))
	gaps := make([]time.Duration, len(conns))
	var all sync.WaitGroup
	for i, c := range conns {
		c.SetReadDeadline(start.Add(length))
		stop := context.AfterFunc(ctx, func() { c.Close() })
		all.Go(func() { defer stop(); heard[i], gaps[i] = hear(c) })
	}
	all.Wait()
	r := report{Streams: len(conns), Seconds: time.Since(start).Seconds()}
	for i := range conns {
		r.Bytes += heard[i]
		r.LongestMS = max(r.LongestMS, float64(gaps[i])/1e6)
	}
	return r
}

// hear reads until the deadline of c, the server's end or an error.
func hear(c net.Conn) (bytes int64, longest time.Duration) {
	buf := make([]byte, 4096)
	last := time.Now()
	for {
		n, err := c.Read(buf)
		now := time.Now()
		bytes += int64(n)
		if err != nil {
			return bytes, longest
		}
		longest, last = max(longest, now.Sub(last)), now
	}
}
