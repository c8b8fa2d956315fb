// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/netrig"
	"lazystate/mtcp"
	"lazystate/mtcp/cbox"
	"lazystate/tools/lab"
)

// server is a program that a replay repeats: what it does depends on its state
// alone. Every third step writes, the others read.
type server struct{ step, in, out uint64 }

func (s server) size() int { return 1 + int(s.step*2654435761%5000) }

// run goes on until last, or until its session leaves.
func (s server) run(c *cbox.Conn, last uint64) error {
	if state, ok := c.Import(); ok {
		s = server{binary.LittleEndian.Uint64(state), binary.LittleEndian.Uint64(state[8:]), binary.LittleEndian.Uint64(state[16:])}
	}
	for ; s.step < last; s.step++ {
		if s.step%7 == 0 {
			b := binary.LittleEndian.AppendUint64(nil, s.step)
			b = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, s.in), s.out)
			if err := c.Export(b); err != nil {
				return err
			}
		}
		b := make([]byte, s.size())
		if s.step%3 == 0 {
			netrig.Fill(b, downStream, s.out)
			if _, err := c.Write(b); err != nil {
				return err
			}
			s.out += uint64(len(b))
			continue
		}
		if _, err := io.ReadFull(c, b); err != nil {
			return err
		}
		if err := netrig.Verify(b, upStream, s.in); err != nil {
			return err
		}
		s.in += uint64(len(b))
	}
	return c.Close()
}

// totals is how much run reads and writes.
func totals(last uint64) (in, out int) {
	for s := (server{}); s.step < last; s.step++ {
		if s.step%3 == 0 {
			out += s.size()
		} else {
			in += s.size()
		}
	}
	return in, out
}

// moveBox moves a session with its box: mtcp's arithmetic between cbox and this
// package. known says whether the client is asked what it has.
func (w *world) moveBox(c *cbox.Conn, client, held *net.TCPConn, p mtcp.Policy, known bool) (cbox.Region, *net.TCPConn) {
	t := w.t
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	here, err := cbox.OpenBox(c.Region())
	if errors.Is(err, unix.EBADF) {
		return cbox.Region{}, nil // it has ended, the server has closed it
	}
	check(err)
	defer here.Close()
	if err := here.Freeze(nil, hang); err != nil {
		return cbox.Region{}, nil // likewise
	}
	if known {
		do(t, client, (&Stack{}).deafen) // it says what it has, and gets no more
	}
	f, d := w.freeze(held)
	im, err := cbox.ReadImage(uint64(c.Region().Length), here.Fetch)
	check(err)
	read, written, err := here.Offsets(held)
	check(err)
	place, up, down, err := mtcp.Place(d.Endpoint, read, written)
	check(err)
	var who mtcp.Client
	if known {
		got := fd(t, client, func(fd int) (uint64, error) { i, err := tcpInfo(fd); return i.Bytes_received, err })
		who, err = place.Client(place.Down.Seq(got), down)
		check(err)
	}
	cut, err := mtcp.Cut(im.Root(), up, down, who, p)
	check(err)
	check(im.Fill(here.Fetch, cut, p))
	d, err = d.Obey(place, cut)
	check(err)
	if known {
		d.Resend()
	}
	region, err := cbox.NewRegion(im.Size())
	check(err)
	there, err := im.Plant(region, d.Local, d.Remote)
	check(err)
	defer there.Close()
	if w.changed(f) {
		check(f.Thaw())
		here.Thaw()
		return w.moveBox(c, client, held, p, known)
	}
	conn := w.arrive(d)
	check(there.Bind(conn, im.LogTo, cut.Send.To))
	if known {
		do(t, client, hear)
	}
	here.Depart()
	there.Thaw()
	check(f.Discard())
	return region, conn
}

// A session moves at random moments with its box and its socket. The client
// sees one server that never left.
func TestMoveWithBox(t *testing.T) {
	last, hops := uint64(4000), 15
	if lab.InGuest() {
		last, hops = 1000, 5
	}
	for seed, c := range []struct {
		p     mtcp.Policy
		known bool
	}{{mtcp.Whole, false}, {mtcp.Minimal, false}, {mtcp.Whole, true}, {mtcp.Minimal, true}} {
		t.Run(fmt.Sprintf("%s, client known %v", c.p, c.known), func(t *testing.T) {
			w := newWorld(t, false)
			client, accepted := w.connect("tcp4")
			bell, err := cbox.NewBell()
			if err != nil {
				t.Fatal(err)
			}
			defer bell.Close()
			cfg := cbox.Config{Bell: bell, Log: 1 << 17}
			conn, err := cbox.Create(accepted, cfg)
			if err != nil {
				t.Fatal(err)
			}
			in, out := totals(last)
			ends := make(chan error, 2)
			go func() { ends <- write(client, in) }()
			go func() { ends <- read(client, out) }()
			rng := rand.New(rand.NewPCG(uint64(seed), 0))
			done := make(chan error, 1)
			go func() { done <- server{}.run(conn, last) }()
			held := duplicate(t, accepted) // as a keeper has one
			moves := 0
			for range hops {
				time.Sleep(time.Duration(rng.IntN(15_000)) * time.Microsecond)
				region, at := w.moveBox(conn, client, held, c.p, c.known)
				if at == nil {
					break
				}
				moves++
				if err := cbox.RingBell(bell.File); err != nil {
					t.Fatal(err)
				}
				// nil: it was in Close already, which leaves what is left
				// of the close to the next server
				if err := <-done; err != nil && !errors.Is(err, cbox.ErrMigrated) {
					t.Fatalf("at the old server: %v", err)
				}
				held = duplicate(t, at)
				if conn, err = cbox.Resume(region, at, cfg); err != nil {
					t.Fatal(err)
				}
				go func() { done <- server{}.run(conn, last) }()
			}
			for range 2 {
				if err := <-ends; err != nil {
					t.Fatal(err)
				}
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			t.Logf("%d moves", moves)
		})
	}
}

func duplicate(t *testing.T, c *net.TCPConn) *net.TCPConn {
	t.Helper()
	f, err := c.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d.(*net.TCPConn)
}

func write(c *net.TCPConn, n int) error {
	b := make([]byte, n)
	netrig.Fill(b, upStream, 0)
	_, err := c.Write(b)
	return err
}

func read(c *net.TCPConn, n int) error {
	b := make([]byte, n)
	if k, err := io.ReadFull(c, b); err != nil {
		return fmt.Errorf("client: %w after %d bytes of %d", err, k, n)
	}
	if err := netrig.Verify(b, downStream, 0); err != nil {
		return fmt.Errorf("client: %w", err)
	}
	if n, err := c.Read(b); n != 0 || err != io.EOF {
		return fmt.Errorf("client: %d bytes more, %w", n, err)
	}
	return nil
}
