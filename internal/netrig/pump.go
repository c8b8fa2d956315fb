// SPDX-License-Identifier: Apache-2.0

package netrig

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Pump is an application that reads one stream and writes another, as fast as
// TCP lets it, and checks every byte.
type Pump struct {
	Conn      *net.TCPConn
	In, Out   uint64 // offsets
	InStream  byte
	OutStream byte
	Seed      uint64       // of how much is written at a time
	Over      *atomic.Bool // true: write no more, close the sending half

	closed, eof bool
	err         [2]error
	wait        sync.WaitGroup
}

// Fill writes what stands in a stream at an offset.
func Fill(b []byte, stream byte, off uint64) {
	for i := range b {
		x := off + uint64(i)
		b[i] = byte(x) ^ byte(x>>8)*31 ^ byte(x>>16)*17 ^ byte(x>>24) ^ stream
	}
}

// Verify tells which byte is not what Fill has written.
func Verify(b []byte, stream byte, off uint64) error {
	want := make([]byte, len(b))
	Fill(want, stream, off)
	for i := range b {
		if b[i] != want[i] {
			return fmt.Errorf("byte %d of stream %d is %#x, want %#x", off+uint64(i), stream, b[i], want[i])
		}
	}
	return nil
}

// Start begins, or goes on after Stop.
func (p *Pump) Start() {
	p.wait.Add(2)
	go func() { defer p.wait.Done(); p.err[0] = p.read() }()
	go func() { defer p.wait.Done(); p.err[1] = p.write() }()
}

func (p *Pump) read() error {
	b := make([]byte, 64<<10)
	for !p.eof {
		n, err := p.Conn.Read(b)
		if err := Verify(b[:n], p.InStream, p.In); err != nil {
			return err
		}
		p.In += uint64(n)
		if err == io.EOF {
			p.eof = true
		} else if err != nil {
			return fmt.Errorf("read at %d: %w", p.In, err)
		}
	}
	return nil
}

func (p *Pump) write() error {
	rng := rand.New(rand.NewPCG(p.Seed, p.Out))
	b := make([]byte, 64<<10)
	for !p.closed {
		if p.Over.Load() {
			p.closed = true
			return p.Conn.CloseWrite()
		}
		b := b[:1+rng.IntN(len(b))]
		Fill(b, p.OutStream, p.Out)
		n, err := p.Conn.Write(b)
		p.Out += uint64(n)
		if err != nil {
			return fmt.Errorf("write at %d: %w", p.Out, err)
		}
	}
	return nil
}

// Stop interrupts the application between two calls.
func (p *Pump) Stop(t TB) {
	t.Helper()
	_ = p.Conn.SetDeadline(time.Unix(1, 0))
	p.end(t, os.ErrDeadlineExceeded)
}

// On is the same application on another connection, from where this one was
// stopped.
func (p *Pump) On(conn *net.TCPConn) *Pump {
	return &Pump{Conn: conn, In: p.In, Out: p.Out, InStream: p.InStream, OutStream: p.OutStream, Seed: p.Seed, Over: p.Over, closed: p.closed, eof: p.eof}
}

// Finish waits for the end of both streams.
func (p *Pump) Finish(t TB) {
	t.Helper()
	p.end(t, nil)
}

func (p *Pump) end(t TB, but error) {
	t.Helper()
	p.wait.Wait()
	for _, err := range p.err {
		if err != nil && !errors.Is(err, but) {
			t.Fatal(err)
		}
	}
}
