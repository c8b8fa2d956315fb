// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"lazystate/dsm"
	"lazystate/dsm/shelf"
	"lazystate/dsm/vtime"
	"lazystate/verbs"
)

// wires are both ends of a connection over a network that loses messages.
func wires(t *testing.T) (a, b *wired) {
	t.Helper()
	l, err := ListenRDMA(t.Context(), "mem://"+t.Name()+"/0.0.0.0:0?seed=9&loss=0.02&dup=0.02&reorder=0.05")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan net.Conn)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		got <- c
	}()
	c, err := verbs.Dial(t.Context(), l.Addr().String(), queues())
	if err != nil {
		t.Fatal(err)
	}
	if a, err = newWired(c); err != nil {
		t.Fatal(err)
	}
	b = (<-got).(*wired)
	t.Cleanup(func() {
		for _, err := range []error{a.Close(), b.Close(), l.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	return a, b
}

// drain has an end take its completions, so that it may write.
func drain(c *wired) { _, _ = io.Copy(io.Discard, readerOnly{c}) }

// What is written is read, in pieces of any size, more than there are slots for.
func TestWiredCarriesBytes(t *testing.T) {
	a, b := wires(t)
	go drain(a)
	rng := rand.New(rand.NewPCG(1, 2))
	sent := make([]byte, 5*slots*slotSize)
	for i := range sent {
		sent[i] = byte(rng.Uint32())
	}
	done := make(chan error)
	go func() {
		for rest := sent; len(rest) > 0; {
			n := min(len(rest), 1+rng.IntN(3*slotSize))
			if _, err := a.Write(rest[:n]); err != nil {
				done <- err
				return
			}
			rest = rest[n:]
		}
		done <- nil
	}()
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(b, got); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%v, equal %v", err, bytes.Equal(got, sent))
	}
}

// Without somebody who reads at the other end, what goes at once ends.
func TestWiredTries(t *testing.T) {
	a, _ := wires(t)
	n, err := a.TryWrite(make([]byte, 3*slots*slotSize))
	if err != nil || n != slots*slotSize {
		t.Errorf("%d bytes go at once: %v", n, err)
	}
}

// Who reads or writes is woken by the other's end, after what was there; and by one's
// own.
func TestWiredEnds(t *testing.T) {
	a, b := wires(t)
	if _, err := b.Write([]byte("last")); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 4)
	if _, err := io.ReadFull(a, first); err != nil || string(first) != "last" {
		t.Fatalf("%q: %v", first, err)
	}
	errs := make(chan error, 2)
	go func() {
		_, err := a.Write(make([]byte, 3*slots*slotSize))
		errs <- err
	}()
	go func() {
		_, err := a.Read(first)
		errs <- err
	}()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if <-errs == nil {
			t.Error("it goes on")
		}
	}
	go func() {
		_, err := b.Read(first)
		errs <- err
	}()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if err := <-errs; err == nil {
		t.Error("a closed end reads")
	}
	if _, err := b.TryWrite(first); err == nil {
		t.Error("a closed end writes")
	}
}

// A look that the connection's end overtakes has found nothing: who looks waits for it.
func TestLooksEnd(t *testing.T) {
	a, b := wires(t)
	cfg := testCluster
	var mine [2]*shelf.Shelf
	for i := range mine {
		cfg.Self = dsm.NodeID(i)
		s, err := shelf.New(cfg, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		mine[i] = s
	}
	mine[1].Put(dsm.Shelve{Page: 2, V: vtime.New(cfg.Nodes), Ordinal: 7, Bytes: make([]byte, cfg.PageSize)})
	var err error
	for i, c := range []*wired{a, b} {
		if c.reads, err = newReads(c.queue, mine[i], mine[i].Remote(dsm.NodeID(1-i), 1), cfg); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range []*wired{a, b} {
		o := []*wired{b, a}[i].reads
		c.reads.at = lent{o.reg.Addr(), o.marks.Addr(), o.reg.RKey(), o.marks.RKey()}
	}
	found := make(chan dsm.Found, 100)
	a.found = func(f dsm.Found) { found <- f }
	if f, now := a.reads.look(dsm.Page(cfg.Pages)); !now || f.V != nil {
		t.Errorf("a page that there is not: %+v", f)
	}
	const looks = 3 * mostLooks
	for range looks {
		if _, now := a.reads.look(2); now {
			t.Fatal("a look that was answered at once")
		}
	}
	a.reads.ask()
	go drain(a)
	if f := <-found; f.Ordinal != 7 || f.Home != 1 || len(f.Bytes) != cfg.PageSize {
		t.Errorf("%+v", f)
	}
	for end := time.Now().Add(bound); !b.reads.Took(2); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no mark")
		}
	}
	if b.reads.Took(3) {
		t.Error("a mark at a page that nobody took")
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	for range looks - 1 {
		<-found
	}
	if f, now := a.reads.look(2); !now || f.V != nil {
		t.Errorf("a look when all is over: %+v", f)
	}
}

// What cannot be dialed or listened at is said.
func TestNoRDMA(t *testing.T) {
	for _, at := range []string{"roce://nowhere.invalid:0", "what://127.0.0.1:0", "roce://"} {
		if l, err := ListenRDMA(t.Context(), at); err == nil {
			t.Errorf("listens at %s", at)
			l.Close()
		}
	}
	node := &Transport{}
	for _, address := range []string{"mem://" + t.Name() + "/10.0.0.1:9", "mem://\x7f", "what://127.0.0.1:9"} {
		if _, err := node.dialRDMA(t.Context(), address); err == nil {
			t.Errorf("dials %s", address)
		}
	}
}

// What fails while somebody is accepted is told here too, and the next is taken.
func TestAcceptSaysWhatFails(t *testing.T) {
	l, err := ListenRDMA(t.Context(), "mem://"+t.Name()+"/0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := verbs.Dial(ctx, l.Addr().String(), queues()); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("nobody accepts: %v", err)
	}
	if c, err := l.Accept(); err == nil || !strings.Contains(err.Error(), "accept ") || errors.Is(err, net.ErrClosed) {
		t.Fatalf("who has given up is accepted as %v: %v", c, err)
	}
	go func() {
		if c, err := verbs.Dial(t.Context(), l.Addr().String(), queues()); err == nil {
			c.Close()
		}
	}()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// Of a listener's options its device is its own.
func TestDeviceStaysHere(t *testing.T) {
	for opts, want := range map[string]string{"": "", "device=rxe0": "", "provider=ibv&device=rxe0&mtu=1024": "provider=ibv&mtu=1024"} {
		if got := elsewhere(opts); got != want {
			t.Errorf("of %q others are told %q, not %q", opts, got, want)
		}
	}
}

func FuzzLent(f *testing.F) {
	f.Add(lent{1 << 40, 2, 3, 4}.bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == lentSize && !bytes.Equal(parseLent(b).bytes(), b) {
			t.Errorf("%x", b)
		}
	})
}
