// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/jackc/pgx/v5"

	"lazystate/examples/outcome"
)

//go:embed schema.sql
var schema string

// row is the request that a row of the books is of.
type row struct {
	session string
	seq     uint64
}

// found looks for its row, and what that says.
func (r row) found(reply *string) outcome.Row {
	return func(ctx context.Context, c *pgx.Conn, xid string) (bool, error) {
		err := c.QueryRow(ctx, `SELECT reply FROM orders WHERE xid = $1::text::xid8 AND session = $2 AND seq = $3`, xid, r.session, r.seq).Scan(reply)
		if errors.Is(err, pgx.ErrNoRows) {
			return false, nil
		}
		return err == nil, err
	}
}

// transaction is one that may be committed; reply is what its row says.
type transaction struct {
	tx    pgx.Tx
	name  outcome.Txn
	reply string
}

func (t *transaction) commit(ctx context.Context) error { return t.tx.Commit(ctx) }

// take does an order's work in a transaction of its own, all but the commit. What
// the process before had begun and not exported nobody asks for: db is alone.
func take(ctx context.Context, db *outcome.DB, r row, order string) (t *transaction, err error) {
	err = db.Try(ctx, func(*pgx.Conn) error {
		t, err = begin(ctx, db, r, order)
		return err
	})
	return t, err
}

func begin(ctx context.Context, db *outcome.DB, r row, order string) (*transaction, error) {
	tx, name, err := db.Begin(ctx)
	if err != nil {
		return nil, err
	}
	t := &transaction{tx: tx, name: name}
	var id int64
	if err := tx.QueryRow(ctx, `SELECT nextval('orders_id_seq')`).Scan(&id); err != nil {
		return nil, err
	}
	if t.reply, err = work(ctx, tx, id, order); err != nil {
		return nil, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO orders (id, xid, session, seq, reply) VALUES ($1, pg_current_xact_id(), $2, $3, $4)`, id, r.session, r.seq, t.reply)
	return t, err
}

// work takes what is ordered out of the stock, and says so.
func work(ctx context.Context, tx pgx.Tx, id int64, order string) (string, error) {
	v, err := url.ParseQuery(order)
	item, n := v.Get("item"), 0
	if err == nil {
		n, err = strconv.Atoi(v.Get("n"))
	}
	if err != nil || n <= 0 || n > 1000 {
		return oneLine(fmt.Sprintf("refused %d: no number of things: %q", id, order)), nil
	}
	var price, left int
	err = tx.QueryRow(ctx, `UPDATE item SET stock = stock - $2 WHERE name = $1 AND stock >= $2 RETURNING price, stock`, item, n).Scan(&price, &left)
	if errors.Is(err, pgx.ErrNoRows) {
		return oneLine(fmt.Sprintf("refused %d: no %d of %q", id, n, item)), nil
	}
	return oneLine(fmt.Sprintf("order %d: %d %s for %d, %d left", id, n, item, n*price, left)), err
}
