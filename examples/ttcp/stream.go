// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"time"
)

// The stream repeats a table of a length that no block of a program divides, so
// that bytes which are lost, doubled or out of order are seen.
const (
	period    = 65521
	mostWrite = 64 << 10
)

var table = func() []byte {
	b := make([]byte, period+mostWrite)
	x := uint32(1)
	for i := range b[:period] {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	for i := range mostWrite { // which is more than a period: the end is of what is copied
		b[period+i] = b[i]
	}
	return b
}()

// part is the stream at pos.
func part(pos uint64, n int) []byte { return table[pos%period:][:n] }

// stream writes from pos to the end; passed is told of each write.
func (cfg config) stream(w io.Writer, pos uint64, passed func(n int) error) error {
	for pos < cfg.size {
		n, err := w.Write(part(pos, int(min(uint64(cfg.write), cfg.size-pos))))
		pos += uint64(n)
		if err == nil {
			err = passed(n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// base counts nothing.
func base(int) error { return nil }

// result is what a client has seen.
type result struct {
	Bytes      uint64  `json:"bytes"`
	Seconds    float64 `json:"seconds"` // from the first byte to the end
	KBs        float64 `json:"kb_per_second"`
	LongestGap float64 `json:"longest_gap_seconds"` // between two reads
}

// read is TTCP's client.
func read(ctx context.Context, address string) (result, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return result{}, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	return check(c)
}

// check reads a stream to its end.
func check(r io.Reader) (res result, err error) {
	var first, last time.Time
	for b := make([]byte, mostWrite); ; {
		n, err := r.Read(b)
		now := time.Now()
		if n > 0 && res.Bytes == 0 {
			first, last = now, now
		}
		if !bytes.Equal(b[:n], part(res.Bytes, n)) {
			return res, fmt.Errorf("stream: a wrong byte within %d after %d", n, res.Bytes)
		}
		res.Bytes += uint64(n)
		res.LongestGap = max(res.LongestGap, now.Sub(last).Seconds())
		last = now
		if err == nil {
			continue
		}
		if res.Seconds = last.Sub(first).Seconds(); res.Seconds > 0 {
			res.KBs = float64(res.Bytes) / 1000 / res.Seconds
		}
		if err == io.EOF {
			err = nil
		}
		return res, err
	}
}
