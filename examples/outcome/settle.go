// SPDX-License-Identifier: Apache-2.0

package outcome

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Row reports whether a request's row is there, that the transaction with a number
// has inserted.
type Row func(ctx context.Context, c *pgx.Conn, xid string) (bool, error)

const invalidParameter = "22023" // a transaction number that has not been given out

// isCode reports PostgreSQL's own word of an error.
func isCode(err error, code string) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == code
}

// Ask asks once.
func Ask(ctx context.Context, c *pgx.Conn, t Txn, row Row) (Outcome, error) {
	xid := strconv.FormatUint(t.XID, 10)
	var status *string
	var home string
	err := c.QueryRow(ctx, `SELECT pg_xact_status($1::text::xid8), `+whose, xid).Scan(&status, &home)
	future := isCode(err, invalidParameter)
	if future {
		err = c.QueryRow(ctx, "SELECT "+whose).Scan(&home)
	}
	switch {
	case err != nil:
		return Unknown, err
	case !future && status == nil:
		return Unknown, &UnknownError{t.XID, "it is too long ago"}
	case !future && *status == InProgress.String():
		return InProgress, nil
	}
	is, err := row(ctx, c, xid)
	switch {
	case err != nil:
		return Unknown, err
	case is:
		return Committed, nil
	case home != t.Home:
		return Unknown, &UnknownError{t.XID, "the database is another one, or one that took its place"}
	}
	// Its number may be another's by now, after a crash: then it was lost.
	return Aborted, nil
}

// Settle asks until a transaction is over, and sees to it that it is. saw is
// told of each answer.
func (d *DB) Settle(ctx context.Context, t Txn, row Row, saw func(Outcome)) (o Outcome, err error) {
	for late := time.Now().Add(Patience); ; {
		o, err = d.ask(ctx, t, row, saw)
		if err == nil && o != InProgress || errors.Is(err, ErrUnknown) {
			return o, err
		}
		if err == nil {
			err = fmt.Errorf("transaction %d is still in progress", t.XID)
		} else {
			d.Close()
		}
		if time.Now().After(late) || ctx.Err() != nil {
			return o, err
		}
	}
}

// ask asks once, and ends what is still in progress.
func (d *DB) ask(ctx context.Context, t Txn, row Row, saw func(Outcome)) (Outcome, error) {
	c, err := d.Conn(ctx)
	if err != nil {
		return Unknown, err
	}
	o, err := Ask(ctx, c, t, row)
	if err != nil && !errors.Is(err, ErrUnknown) {
		return o, err
	}
	saw(o)
	if o == InProgress {
		err = end(ctx, c, t.XID)
	}
	return o, err
}
