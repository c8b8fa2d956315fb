// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// pump is an application that reads one stream and writes another, as fast as
// TCP lets it, and checks every byte.
type pump struct {
	conn              *net.TCPConn
	in, out           uint64 // offsets
	inStream, outName byte
	seed              uint64
	over              *atomic.Bool // write no more
	closed            bool         // and the sending half was closed
	eof               bool
	err               [2]error
	wait              sync.WaitGroup
}

func (p *pump) start() {
	p.wait.Add(2)
	go func() { defer p.wait.Done(); p.err[0] = p.read() }()
	go func() { defer p.wait.Done(); p.err[1] = p.write() }()
}

func (p *pump) read() error {
	b := make([]byte, 64<<10)
	for !p.eof {
		n, err := p.conn.Read(b)
		if err := verify(b[:n], p.inStream, p.in); err != nil {
			return err
		}
		p.in += uint64(n)
		if err == io.EOF {
			p.eof = true
		} else if err != nil {
			return fmt.Errorf("read at %d: %w", p.in, err)
		}
	}
	return nil
}

func (p *pump) write() error {
	rng := rand.New(rand.NewPCG(p.seed, p.out))
	b := make([]byte, 64<<10)
	for !p.closed {
		if p.over.Load() {
			p.closed = true
			return p.conn.CloseWrite()
		}
		b := b[:1+rng.IntN(len(b))]
		fillWith(b, p.outName, p.out)
		n, err := p.conn.Write(b)
		p.out += uint64(n)
		if err != nil {
			return fmt.Errorf("write at %d: %w", p.out, err)
		}
	}
	return nil
}

// stop interrupts the application between two calls.
func (p *pump) stop(t *testing.T) {
	t.Helper()
	_ = p.conn.SetDeadline(time.Unix(1, 0))
	p.finish(t, os.ErrDeadlineExceeded)
}

// finish waits for the end of both streams.
func (p *pump) finish(t *testing.T, but error) {
	t.Helper()
	p.wait.Wait()
	for _, err := range p.err {
		if err != nil && !errors.Is(err, but) {
			t.Fatal(err)
		}
	}
}
