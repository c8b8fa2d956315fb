// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"lazystate/examples/outcome"
)

// decide sees to it that a request has a reply that stands, whatever became of those
// who worked on it before.
func (l *line) decide(ctx context.Context, e *entry, q *request) error {
	for !e.settled {
		var err error
		if e.rec == nil {
			err = l.do(ctx, e, q)
		} else {
			err = l.settle(ctx, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// do does a request. Its error is this line's: it cannot export any more.
func (l *line) do(ctx context.Context, e *entry, q *request) error {
	if f := reads[q.Kind]; f != nil {
		r := l.read(ctx, q, f)
		if ctx.Err() != nil { // this process ends: the next one answers
			return ctx.Err()
		}
		return l.conclude(e, q, r)
	}
	f := writes[q.Kind]
	if f == nil {
		return l.conclude(e, q, reply{Refused: "no such request"})
	}
	at("taken")
	var broken error
	err := l.m.use(ctx, func(db *outcome.DB) error {
		t, err := begin(ctx, db, q, f)
		if err != nil {
			return err
		}
		at("begun")
		rec := &record{Request: *q, Try: e.tries + 1, Reply: t.reply}
		if t.changes() {
			rec.Txn = t.name
		}
		if broken = l.export(state{Records: []record{*rec}}); broken != nil {
			return t.tx.Rollback(ctx)
		}
		e.set(rec, !t.changes(), l)
		at("exported")
		if !t.changes() {
			return t.tx.Rollback(ctx)
		}
		if err := t.tx.Commit(ctx); err != nil { // it may have been, for all we know
			l.m.log.Warn("commit", "request", q.id(), "xid", t.name.XID, "err", err)
			db.Close()
			return nil
		}
		at("committed")
		e.settled = true
		return nil
	})
	switch {
	case broken != nil:
		return broken
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && e.rec == nil:
		return l.conclude(e, q, reply{Unavailable: err.Error()})
	}
	return nil
}

// conclude exports a reply that no transaction decides, and that might be another in a
// replay.
func (l *line) conclude(e *entry, q *request, r reply) error {
	rec := &record{Request: *q, Try: e.tries + 1, Reply: r}
	if err := l.export(state{Records: []record{*rec}}); err != nil {
		return err
	}
	e.set(rec, true, l)
	return nil
}

// read answers what changes nothing.
func (l *line) read(ctx context.Context, q *request, f work) (r reply) {
	err := l.m.use(ctx, func(db *outcome.DB) error {
		return db.Try(ctx, func(c *pgx.Conn) (err error) {
			r, err = replyOf(f(ctx, c, q))
			return err
		})
	})
	if err != nil {
		return reply{Unavailable: err.Error()}
	}
	return r
}

// settle finds out what became of a record's transaction.
func (l *line) settle(ctx context.Context, e *entry) error {
	q, name := e.rec.Request, e.rec.Txn
	var o outcome.Outcome
	err := l.m.use(ctx, func(db *outcome.DB) (err error) {
		o, err = db.Settle(ctx, name, rowOf(&q), func(o outcome.Outcome) {
			l.m.log.Info("asked", "request", q.id(), "xid", name.XID, "outcome", o.String())
			at(o.String())
		})
		return err
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		if !errors.Is(err, outcome.ErrUnknown) {
			l.m.log.Error("a transaction's outcome", "request", q.id(), "err", err)
		}
		return l.conclude(e, &q, reply{Unknown: err.Error()})
	case o == outcome.Aborted:
		e.set(nil, false, nil)
	default:
		e.settled = true
	}
	return nil
}
