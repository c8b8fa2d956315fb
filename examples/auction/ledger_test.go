// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"testing"
	"time"
)

// counted is a home that counts what it holds.
type counted int

func (c *counted) holds()  { *c++ }
func (c *counted) leaves() { *c-- }

const someSession = "00112233445566778899aabbccddeeff"

// A later request drops what is known of the one before, and an older one is refused:
// it comes from a front end that is dead.
func TestLedgerOrder(t *testing.T) {
	l, a, b := newLedger(), new(counted), new(counted)
	e, err := l.take(t.Context(), someSession, 10)
	if err != nil {
		t.Fatal(err)
	}
	e.set(&record{}, true, a)
	e.give()
	if e, err = l.take(t.Context(), someSession, 10); err != nil || e.rec == nil || *a != 1 {
		t.Fatalf("the same again: %+v, %v, %d held", e, err, *a)
	}
	e.set(e.rec, true, b)
	e.give()
	if _, err = l.take(t.Context(), someSession, 9); !errors.Is(err, errOlder) {
		t.Errorf("an older one: %v", err)
	}
	if e, err = l.take(t.Context(), someSession, 11); err != nil || e.rec != nil || e.settled || *a != 0 || *b != 0 {
		t.Errorf("a later one: %+v, %v, %d and %d held", e, err, *a, *b)
	}
	e.give()
}

// Who comes while another works on the request waits for what that finds.
func TestLedgerWaits(t *testing.T) {
	l := newLedger()
	e, err := l.take(t.Context(), someSession, 10)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.take(ctx, someSession, 10); !errors.Is(err, context.Canceled) {
		t.Errorf("who no longer waits: %v", err)
	}
	got := make(chan *entry)
	go func() {
		e, _ := l.take(t.Context(), someSession, 10)
		got <- e
	}()
	e.set(&record{}, true, new(counted))
	e.give()
	if e := <-got; e == nil || e.rec == nil {
		t.Errorf("who waited has %+v", e)
	}
}

// What was learnt stands unless a later request is known, or a later try of this one,
// in whatever order they come; what nobody asks for is
// forgotten, and its home is told.
func TestLedgerLearns(t *testing.T) {
	l, h := newLedger(), new(counted)
	for _, r := range []record{{Request: request{Begins: 5}, Try: 2}, {Request: request{Begins: 4}, Try: 1}, {Request: request{Begins: 5}, Try: 1}, {Request: request{Begins: 5}, Try: 2}} {
		r.Request.Session = someSession
		if err := l.learn(t.Context(), &r, h); err != nil {
			t.Fatal(err)
		}
	}
	if *h != 1 {
		t.Errorf("%d records held", *h)
	}
	l.forget(time.Now().Add(-time.Minute))
	if e, err := l.take(t.Context(), someSession, 5); err != nil || e.rec == nil || e.rec.Request.Begins != 5 || e.rec.Try != 2 || !e.settled {
		t.Errorf("%+v, %v", e, err)
	} else {
		l.forget(time.Now().Add(time.Minute)) // somebody works on it
		e.give()
	}
	l.forget(time.Now().Add(time.Minute))
	if *h != 0 || len(l.sessions) != 0 {
		t.Errorf("%d records held, %d sessions known", *h, len(l.sessions))
	}
}
