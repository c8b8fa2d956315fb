// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/bench/soaktest"
	"lazystate/internal/netrig"
	"lazystate/mtcp"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/extract"
	"lazystate/tools/lab"
)

// Streams of netrig.Fill.
const (
	upStream    = 3
	downStream  = 4
	stateStream = 5
)

// bulkState is how much bulk exports, which is nearly all that there is room for: an
// instant may be within a copy of it.
const bulkState = 4000

// bulk reads and writes as much as it can, and checks what it reads. Its state is told by
// how far it has read, so that a snapshot in which two exports are mixed is seen.
func bulk(c *cbox.Conn) error {
	go func() {
		b := make([]byte, 64<<10)
		for off := uint64(0); ; {
			netrig.Fill(b, downStream, off)
			n, err := c.Write(b)
			if off += uint64(n); err != nil {
				return
			}
		}
	}()
	b, state := make([]byte, 8<<10), make([]byte, bulkState)
	for off := uint64(0); ; {
		n, err := c.Read(b)
		if err == nil {
			err = netrig.Verify(b[:n], upStream, off)
		}
		if err != nil {
			return fmt.Errorf("read at %d: %w", off, err)
		}
		off += uint64(n)
		netrig.Fill(state, stateStream, off)
		if err := c.Export(state); err != nil {
			return err
		}
	}
}

// frozen counts what was found.
type frozen struct{ sockets, held, holed, lost int }

// frozenAtRandom is the section 2: a machine is stopped at random instants of
// bulk send and receive. What is read out of it then is what the client knows and
// what the application wrote, or the session is named lost; nothing is silently wrong.
func (v *victim) frozenAtRandom(t *testing.T) {
	t.Helper()
	var clients []*netrig.Pump
	for i := range 4 {
		c := v.dial().Conn.(*net.TCPConn)
		v.must(c.SetDeadline(time.Time{}))
		p := &netrig.Pump{Conn: c, InStream: downStream, OutStream: upStream, Seed: uint64(i), Over: &atomic.Bool{}}
		p.Start()
		clients = append(clients, p)
	}
	v.bound(len(clients))
	x, err := extract.New(v.target, extract.Limits{})
	v.must(err)
	stops, sum := lab.Count(25, 1000), frozen{}
	rng, book := rand.New(rand.NewPCG(lab.Seed(), 1)), soaktest.New(t, record, lab.Seed(), stops)
	for n := range stops {
		time.Sleep(time.Duration(rng.IntN(20_000)) * time.Microsecond)
		v.must(v.vm.Stop(t.Context()))
		time.Sleep(2 * time.Millisecond) // what is on the network still arrives
		if err := v.look(x, clients, &sum); err != nil {
			v.must(v.vm.Cont(t.Context())) // for its log
			t.Fatalf("stop %d: %v; %s", n, err, v.log())
		}
		v.must(v.vm.Cont(t.Context()))
		book.Runs++
	}
	for _, p := range clients { // they have verified what came
		p.Stop(t)
		_ = p.Conn.Close() // what is not read yet ends it at the server too
	}
	for what, n := range map[string]int{"sockets": sum.sockets, "somebody inside": sum.held, "holes in the send queue": sum.holed, "lost": sum.lost} {
		book.Add(what, n)
	}
	if sum.lost*10 > sum.sockets {
		t.Error("more than a tenth is lost")
	}
}

// look compares all sessions of the machine that stands still with what their
// clients know.
func (v *victim) look(x *extract.Extractor, clients []*netrig.Pump, sum *frozen) error {
	ctx := v.t.Context()
	boxes, err := v.target.Boxes(ctx)
	if err != nil {
		return err
	}
	socks := make([]uint64, len(boxes))
	for i := range boxes {
		socks[i] = boxes[i].Sock
	}
	found, err := x.Extract(ctx, socks)
	if err != nil {
		return err
	}
	g := &gather{ctx: ctx, read: v.target.ReadEach}
	errs := make([]error, len(boxes))
	g.each(len(boxes), func(i int, read func([]backdoor.VARead) error) {
		errs[i] = v.compare(&boxes[i], &found[i], clients, read)
	})
	for i := range found {
		f := &found[i]
		sum.sockets++
		if f.Held {
			sum.held++
		}
		if len(f.Holes) > 0 {
			sum.holed++
		}
		var l *extract.LostError
		if errors.As(errs[i], &l) && f.Held && l.Reason == extract.Torn {
			sum.lost++
			v.t.Log(l)
			errs[i] = nil
		}
	}
	if len(boxes) != len(clients) {
		errs = append(errs, fmt.Errorf("%d boxes of %d sessions", len(boxes), len(clients)))
	}
	return errors.Join(errs...)
}

func (v *victim) compare(box *backdoor.Box, f *extract.Found, clients []*netrig.Pump, read func([]backdoor.VARead) error) error {
	if f.Err != nil {
		return f.Err
	}
	s := &session{box: box, found: f}
	if err := s.open(read, mtcp.Whole); err != nil {
		return fmt.Errorf("%s: %w", box.Remote, err)
	}
	d, im := f.Dump, s.facts.Image
	una := s.facts.Written - uint64(len(d.Out))
	out := append([]byte(nil), d.Out...)
	for _, h := range f.Holes { // as the application wrote them
		netrig.Fill(out[d.Una.Size(h.From):d.Una.Size(h.To)], downStream, una+uint64(d.Una.Size(h.From)))
	}
	for what, err := range map[string]error{
		"receive queue": netrig.Verify(d.In, upStream, s.facts.Read),
		"state":         exported(im),
		"receive log":   netrig.Verify(im.Log, upStream, im.Root().LSR),
		"send queue":    netrig.Verify(out, downStream, una),
	} {
		if err != nil {
			return fmt.Errorf("%s of %s: %w", what, box.Remote, err)
		}
	}
	return v.agrees(box, s, una, clients)
}

// exported compares the state in a box with what bulk had exported there.
func exported(im *cbox.Image) error {
	s := im.Snapshots[0]
	switch {
	case s == nil:
		return nil // it has read nothing yet
	case len(s.Data) != bulkState:
		return fmt.Errorf("%d bytes", len(s.Data))
	}
	return netrig.Verify(s.Data, stateStream, s.LSR)
}

// agrees compares the numbers with the client's own, whose kernel counts its SYN
// among what was acknowledged.
func (v *victim) agrees(box *backdoor.Box, s *session, una uint64, clients []*netrig.Pump) error {
	for _, p := range clients {
		if p.Conn.LocalAddr().String() != box.Remote.String() {
			continue
		}
		raw, err := p.Conn.SyscallConn()
		if err != nil {
			return err
		}
		var has mtcp.Counters
		if cerr := raw.Control(func(fd uintptr) { has, err = cbox.Counters(int(fd)) }); cerr != nil || err != nil {
			return errors.Join(cerr, err)
		}
		d := s.found.Dump
		nxt, received := una+uint64(d.Una.Size(d.Nxt)), s.facts.Read+uint64(len(d.In))
		if acked := has.Acked - 1; has.Received > nxt || acked > received || una > has.Received {
			return fmt.Errorf("%s has received %d and is acknowledged %d; una %d, nxt %d, received %d", box.Remote, has.Received, acked, una, nxt, received)
		}
		return nil
	}
	return fmt.Errorf("%s is nobody's", box.Remote)
}
