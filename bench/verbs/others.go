// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/bench/result"
)

// tcp is plain Go request and reply.
type tcp struct {
	server *process
	conn   net.Conn
	in     *bufio.Reader
}

func openTCP(ctx context.Context) (carrier, error) {
	server, err := startServer(ctx, "tcp")
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", server.addr)
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	return &tcp{server, c, bufio.NewReaderSize(c, 2*large)}, nil
}

const tcpName = "Go TCP request and reply"

func (t *tcp) name() string { return tcpName }

func (t *tcp) Close() error { return errors.Join(t.conn.Close(), t.server.Close()) }

// message is a request of n bytes to read, or with n bytes to write.
func message(k kind, n int) (out []byte, answer int) {
	out = binary.LittleEndian.AppendUint32([]byte{byte(k)}, uint32(n))
	if k == read {
		return out, n
	}
	return append(out, make([]byte, n)...), 1
}

func (t *tcp) latency(_ context.Context, k kind) (float64, error) {
	if k == cas {
		return 0, nil
	}
	out, n := message(k, small)
	answer := make([]byte, n)
	took := make([]float64, smallOps)
	for i := range took {
		start := time.Now()
		if _, err := t.conn.Write(out); err != nil {
			return 0, err
		}
		if _, err := io.ReadFull(t.in, answer); err != nil {
			return 0, err
		}
		took[i] = float64(time.Since(start)) / 1e3
	}
	return result.Median(took), nil
}

func (t *tcp) bandwidth(_ context.Context, k kind) (float64, error) {
	out, n := message(k, large)
	answer := make([]byte, n)
	start := time.Now()
	for sent, got := 0, 0; got < largeOps; got++ {
		for ; sent < largeOps && sent-got < depth; sent++ {
			if _, err := t.conn.Write(out); err != nil {
				return 0, err
			}
		}
		if _, err := io.ReadFull(t.in, answer); err != nil {
			return 0, err
		}
	}
	return rate(largeOps, time.Since(start)), nil
}

const (
	copyName       = "bare copy"
	sharedCopyName = "bare copy of shared pages"
)

// bare is a copy within this process: what shared memory cannot beat.
type bare struct {
	label string
	a, b  []byte
	done  func() error
}

// openCopy copies Go's own memory, which the kernel may have in huge pages.
func openCopy(context.Context) (carrier, error) {
	return &bare{copyName, make([]byte, memory), make([]byte, memory), func() error { return nil }}, nil
}

// openSharedCopy copies memory of the kind that shared memory is.
func openSharedCopy(context.Context) (carrier, error) {
	c := &bare{label: sharedCopyName}
	var maps [][]byte
	c.done = func() (err error) {
		for _, m := range maps {
			err = errors.Join(err, unix.Munmap(m))
		}
		return err
	}
	for range 2 {
		b, err := unix.Mmap(-1, 0, memory, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANON)
		if err != nil {
			return nil, errors.Join(err, c.done())
		}
		maps = append(maps, b)
	}
	c.a, c.b = maps[0], maps[1]
	return c, nil
}

func (c *bare) name() string { return c.label }
func (c *bare) Close() error { return c.done() }

const copies = 1000 // timed together: the clock costs as much as one

func (c *bare) latency(_ context.Context, k kind) (float64, error) {
	if k == cas {
		return 0, nil
	}
	start := time.Now()
	for range copies {
		copy(c.a[:small], c.b)
	}
	return float64(time.Since(start)) / 1e3 / copies, nil
}

func (c *bare) bandwidth(context.Context, kind) (float64, error) {
	start := time.Now()
	for i := range largeOps {
		at := i % depth * large
		copy(c.a[at:at+large], c.b[at:])
	}
	return rate(largeOps, time.Since(start)), nil
}
