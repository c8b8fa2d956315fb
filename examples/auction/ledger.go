// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// memory is how long a session's last request is remembered after it was asked for.
// By then a front end has its reply in a box, or is as dead as all that knew of it.
const memory = 5 * time.Minute

// errOlder is a request before one that was served already. Whoever asked is dead.
var errOlder = errors.New("a later request of the session has come")

// ledger has the last request of each session, and who works on it.
type ledger struct {
	mu       sync.Mutex
	sessions map[string]*entry
}

// entry is a session's.
type entry struct {
	working chan struct{} // holds one while somebody does
	used    time.Time     // the ledger's mu is held

	// Who works on it has these.
	begins  uint64
	tries   int     // that have been exported
	rec     *record // of the last; nil: there is none, or it was aborted
	settled bool    // the record's reply is the reply
	home    home    // whose box has the record
}

// home is a connection whose box has records.
type home interface {
	holds()  // one more
	leaves() // one less
}

func newLedger() *ledger { return &ledger{sessions: map[string]*entry{}} }

// take waits until nobody works on a session's requests, and returns what is known of
// this one; give it back.
func (l *ledger) take(ctx context.Context, session string, begins uint64) (*entry, error) {
	e := l.find(session)
	select {
	case e.working <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if e.begins > begins {
		e.give()
		return nil, fmt.Errorf("request %s.%d: %w", session, begins, errOlder)
	}
	if e.begins < begins {
		e.begins, e.tries = begins, 0
		e.set(nil, false, nil)
	}
	return e, nil
}

func (l *ledger) find(session string) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.sessions[session]
	if e == nil {
		e = &entry{working: make(chan struct{}, 1)}
		l.sessions[session] = e
	}
	e.used = time.Now()
	return e
}

func (e *entry) give() { <-e.working }

// set notes what is known, and whose box has it.
func (e *entry) set(rec *record, settled bool, h home) {
	e.rec, e.settled = rec, settled
	if rec != nil {
		e.tries = rec.Try
	}
	if h != nil {
		h.holds()
	}
	if e.home != nil {
		e.home.leaves()
	}
	e.home = h
}

// learn notes a record of another process's or of another machine's, unless a later one
// is known, or this one.
func (l *ledger) learn(ctx context.Context, rec *record, h home) error {
	e, err := l.take(ctx, rec.Request.Session, rec.Request.Begins)
	if errors.Is(err, errOlder) {
		return nil
	}
	if err != nil {
		return err
	}
	defer e.give()
	if rec.Try > e.tries {
		e.set(rec, rec.Txn.XID == 0, h)
	}
	return nil
}

// forget drops what nobody has asked for since a moment.
func (l *ledger) forget(before time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for session, e := range l.sessions {
		if e.used.After(before) {
			continue
		}
		select {
		case e.working <- struct{}{}: // for good
			e.set(nil, false, nil)
			delete(l.sessions, session)
		default:
		}
	}
}
