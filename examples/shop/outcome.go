// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// Outcome is what PostgreSQL says of a transaction.
type Outcome int

// The outcomes.
const (
	Unknown Outcome = iota // too old, or not of this database
	Committed
	Aborted
	InProgress
)

func (o Outcome) String() string {
	return [...]string{"unknown", "committed", "aborted", "in progress"}[o]
}

// ErrUnknown is that of every UnknownError.
var ErrUnknown = errors.New("outcome of a transaction is unknown")

// UnknownError is a transaction of which nobody can say any more what became of
// it. Somebody has to look: neither a reply nor another try would be right.
type UnknownError struct {
	XID uint64
	Why string
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("outcome of transaction %d is unknown: %s", e.XID, e.Why)
}

// Is makes it an ErrUnknown.
func (e *UnknownError) Is(target error) bool { return target == ErrUnknown }

const invalidParameter = "22023" // a transaction number that has not been given out

// outcome asks once; the reply is what the books have of one that is committed.
func (d *database) outcome(ctx context.Context, t txn, r row) (reply string, o Outcome, err error) {
	xid := strconv.FormatUint(t.XID, 10)
	var status *string
	var home string
	err = d.conn.QueryRow(ctx, `SELECT pg_xact_status($1::text::xid8), `+whose, xid).Scan(&status, &home)
	future := isCode(err, invalidParameter)
	if future {
		err = d.conn.QueryRow(ctx, "SELECT "+whose).Scan(&home)
	}
	switch {
	case err != nil:
		return "", Unknown, err
	case !future && status == nil:
		return "", Unknown, &UnknownError{t.XID, "it is too long ago"}
	case !future && *status == InProgress.String():
		return "", InProgress, nil
	}
	err = d.conn.QueryRow(ctx, `SELECT reply FROM orders WHERE xid = $1::text::xid8 AND session = $2 AND seq = $3`, xid, r.session, r.seq).Scan(&reply)
	switch {
	case err == nil:
		return reply, Committed, nil
	case !errors.Is(err, pgx.ErrNoRows):
		return "", Unknown, err
	case home != t.Home:
		return "", Unknown, &UnknownError{t.XID, "the database is another one, or one that took its place"}
	}
	// Its number may be another's by now, after a crash: then it was lost.
	return "", Aborted, nil
}

// settle asks until a transaction is over, and sees to it that it is. saw is
// told of each answer.
func (d *database) settle(ctx context.Context, t txn, r row, saw func(Outcome)) (reply string, o Outcome, err error) {
	for late := time.Now().Add(patience); ; {
		reply, o, err = d.ask(ctx, t, r, saw)
		if err == nil && o != InProgress || errors.Is(err, ErrUnknown) {
			return reply, o, err
		}
		if err == nil {
			err = fmt.Errorf("transaction %d is still in progress", t.XID)
		} else {
			d.close()
		}
		if time.Now().After(late) || ctx.Err() != nil {
			return "", o, err
		}
	}
}

// ask asks once, and ends what is still in progress.
func (d *database) ask(ctx context.Context, t txn, r row, saw func(Outcome)) (reply string, o Outcome, err error) {
	if err := d.connect(ctx); err != nil {
		return "", Unknown, err
	}
	reply, o, err = d.outcome(ctx, t, r)
	if err != nil && !errors.Is(err, ErrUnknown) {
		return "", o, err
	}
	saw(o)
	if o == InProgress {
		err = d.fence(ctx)
	}
	return reply, o, err
}
