// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"lazystate/examples/outcome"
	"lazystate/mtcp/keeper/keepertest"
)

// boxed is a connection with a box that has a snapshot, or has none yet.
type boxed struct {
	net.Conn
	snap []byte
}

func (b boxed) Import() ([]byte, bool) { return b.snap, b.snap != nil }
func (boxed) Export([]byte) error      { return nil }

// lateRecord is a listener of which the line with the record comes last, behind the answer
// over the other one.
type lateRecord struct {
	net.Listener
	asked, record boxed
	answered      chan struct{}
	accepted      int
}

func (l *lateRecord) Left() ([]net.Conn, error) { return []net.Conn{l.asked, l.record}, nil }

func (l *lateRecord) Accept() (net.Conn, error) {
	switch l.accepted++; l.accepted {
	case 1:
		return l.asked, nil
	case 2:
		<-l.answered
		return l.record, nil
	}
	return nil, net.ErrClosed
}

// A request is asked for over a line that was read from and not exported when the process
// died; its record is in the box of the monitor's, which had it adopted. Whichever comes
// first, the record is known before anybody is answered.
func TestRecordIsKnownFirst(t *testing.T) {
	rec := record{Request: request{Session: someSession, Begins: 7, Kind: "none"}, Try: 1, Reply: reply{Result: json.RawMessage(`"done"`)}}
	snap, err := state{Records: []record{rec}, Of: "mt1"}.encode()
	if err != nil {
		t.Fatal(err)
	}
	front, asked := net.Pipe()
	monitor, adopted := net.Pipe()
	defer front.Close()
	defer monitor.Close()
	l := &lateRecord{asked: boxed{Conn: asked}, record: boxed{adopted, snap}, answered: make(chan struct{})}
	m := &middle{name: "mt2", ledger: newLedger(), apart: make(chan *outcome.DB, 1), log: slog.New(slog.DiscardHandler)}
	m.apart <- &outcome.DB{DSN: "host=/nowhere"}
	done := make(chan error, 1)
	go func() { done <- m.accept(t.Context(), l) }()
	var got answer
	if err := errors.Join(send(front, message{Request: &rec.Request}), receive(front, &got)); err != nil {
		t.Fatal(err)
	}
	close(l.answered)
	if string(got.Reply.Result) != string(rec.Reply.Result) {
		t.Errorf("the front end is told %+v", got.Reply)
	}
	<-done
	for late := time.Now().Add(keepertest.Hang); len(m.apart) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("what acts in mt1's name at the database is not ended: the process before may not have come so far")
		}
	}
}

// A process that ends while its lines wait for the database says and exports nothing of what
// they are asked: the next one answers.
func TestEndingProcessSaysNothing(t *testing.T) {
	for _, kind := range []string{"list", "bid"} {
		m := &middle{name: "mt1", ledger: newLedger(), free: make(chan *outcome.DB), log: slog.New(slog.DiscardHandler)}
		ctx, end := context.WithCancel(t.Context())
		front, asked := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- m.line(ctx, boxed{asked, nil}).run(ctx) }()
		if err := send(front, message{Request: &request{Session: someSession, Begins: 7, Kind: kind}}); err != nil {
			t.Fatal(err)
		}
		end()
		_ = front.SetReadDeadline(time.Now().Add(keepertest.Hang))
		said := make(chan error, 1)
		go func() { said <- receive(front, new(answer)) }()
		select {
		case err := <-done:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", kind, err)
			}
		case err := <-said:
			t.Errorf("%s: the front end is told something (%v)", kind, err)
		}
		_ = front.Close()
	}
}

// The same with processes and machines: mt2 has adopted what mt1 had committed and dies with
// the request in its hands, which it has not exported; the next one is slow to read what the
// monitor's box has, and says nothing before.
func TestAdopterDiesBeforeItExports(t *testing.T) {
	env, there := waiting(t, "committed:1")
	s := sitedEach(t, [2][]string{env, {keepertest.DieAt + "=heard:1"}})
	b := s.browserOf("mt1")
	b.ask("bid", "user", 2, "item", 1, "amount", 500)
	keepertest.Await(t, there[0])
	dead := s.mt[0].Die(netip.MustParsePrefix(middleAddrs[0] + "/24")).Fenced()
	monitor, rescued := s.monitor(), make(chan error, 1)
	go func() { rescued <- monitor.run(t.Context(), dead) }() // which may find mt2 without a process for a while
	select {
	case <-s.procs[1].Done():
	case <-time.After(keepertest.Hang):
		t.Fatal("mt2 does not come so far")
	}
	slow, learning := waiting(t, "learning:1")
	s.mt[1].Run(slow, s.middle[1]...)
	keepertest.Await(t, learning[0])
	if err := b.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.r.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the client is told something before the record is known: %v", err)
	}
	if err := errors.Join(b.SetReadDeadline(time.Now().Add(keepertest.Hang)), os.Remove(learning[0]), <-rescued); err != nil {
		t.Fatal(err)
	}
	s.once(b, 500)
}
