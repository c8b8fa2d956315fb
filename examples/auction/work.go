// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"lazystate/examples/outcome"
)

// querier is a connection to the database, or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// work is what a kind of request does; its result is what the client is told, or a
// refusal is.
type work func(ctx context.Context, c querier, q *request) (any, error)

// refusal is a reply that says no.
type refusal string

func (r refusal) Error() string { return string(r) }

func refusef(format string, args ...any) error { return refusal(fmt.Sprintf(format, args...)) }

// replyOf is what a client is told of what work returns.
func replyOf(result any, err error) (reply, error) {
	var no refusal
	if errors.As(err, &no) {
		return reply{Refused: string(no)}, nil
	}
	if err != nil {
		return reply{}, err
	}
	b, err := json.Marshal(result)
	if err == nil && len(b) > mostReply {
		err = fmt.Errorf("a result of %d bytes", len(b))
	}
	return reply{Result: b}, err
}

// transaction is a request's work, all but the commit.
type transaction struct {
	tx    pgx.Tx
	name  outcome.Txn
	reply reply
}

// changes reports whether there is anything to commit.
func (t *transaction) changes() bool { return t.reply.Result != nil }

// begin does a request's work in a transaction of its own.
func begin(ctx context.Context, db *outcome.DB, q *request, f work) (t *transaction, err error) {
	err = db.Try(ctx, func(*pgx.Conn) error {
		tx, name, err := db.Begin(ctx)
		if err != nil {
			return err
		}
		t = &transaction{tx: tx, name: name}
		t.reply, err = replyOf(f(ctx, tx, q))
		return err
	})
	return t, err
}

// tables have the rows by which a transaction's outcome is told.
var tables = map[string]string{"register": "users", "sell": "items", "bid": "bids", "comment": "comments"}

// rowOf looks for the row that a request has inserted.
func rowOf(q *request) outcome.Row {
	return func(ctx context.Context, c *pgx.Conn, xid string) (is bool, err error) {
		err = c.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+tables[q.Kind]+" WHERE xid = $1::text::xid8 AND request = $2)", xid, q.id()).Scan(&is)
		return is, err
	}
}

// admitted is when a front end had the request: an auction that has closed since counts
// it all the same. The database has microseconds.
func (q *request) admitted() time.Time { return time.UnixMicro(q.Admitted / 1000) }

// number is an argument.
func (q *request) number(name string) (int64, error) {
	n, err := strconv.ParseInt(q.Args[name], 10, 64)
	if err != nil {
		return 0, refusef("%s: not a number: %.40q", name, q.Args[name])
	}
	return n, nil
}

func (q *request) numbers(names ...string) ([]int64, error) {
	all := make([]int64, len(names))
	for i, name := range names {
		var err error
		if all[i], err = q.number(name); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// text is an argument of 1 to most bytes.
func (q *request) text(name string, most int) (string, error) {
	s := q.Args[name]
	if s == "" || len(s) > most {
		return "", refusef("%s: 1 to %d bytes", name, most)
	}
	return s, nil
}

// none makes a refusal of a row that is not there.
func none(err error, format string, args ...any) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return refusef(format, args...)
	}
	return err
}
