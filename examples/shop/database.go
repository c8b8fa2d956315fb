// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

//go:embed schema.sql
var schema string

// patience is how long a database may be away.
const patience = 20 * time.Second

// database is a session's connection to PostgreSQL, under a name of its own.
type database struct {
	dsn, name string
	conn      *pgx.Conn
	fenced    bool // since conn is there
}

func (d *database) close() {
	if d.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = d.conn.Close(ctx)
		d.conn = nil
	}
}

// connect makes a connection where there is none, as soon as there can be one.
func (d *database) connect(ctx context.Context) error {
	if d.conn != nil && !d.conn.IsClosed() {
		return nil
	}
	cfg, err := pgx.ParseConfig(d.dsn)
	if err != nil {
		return err
	}
	cfg.RuntimeParams["application_name"] = d.name
	d.fenced = false
	for late := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if d.conn, err = pgx.ConnectConfig(ctx, cfg); err == nil || time.Now().After(late) || ctx.Err() != nil {
			return err
		}
	}
}

// fence ends whatever else acts in the session's name: the server processes of
// clients that are dead, or believed to be. They may hold locks, and what they
// have been sent they would still do.
func (d *database) fence(ctx context.Context) error {
	rows, err := d.conn.Query(ctx, `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
		WHERE application_name = $1 AND pid <> pg_backend_pid()`, d.name)
	if err != nil {
		return err
	}
	rows.Close()
	d.fenced = rows.Err() == nil
	return rows.Err()
}

// order does an order's work in a transaction of its own, all but the commit. The
// process before may have begun one that is in no snapshot, and so was not asked
// for: what a connection is for must not matter to whether it fences.
func (d *database) order(ctx context.Context, r row, order string) (*transaction, error) {
	for late := time.Now().Add(patience); ; {
		err := d.connect(ctx)
		if err == nil && !d.fenced {
			err = d.fence(ctx)
		}
		var t *transaction
		if err == nil {
			t, err = d.begin(ctx, r, order)
		}
		if err == nil || time.Now().After(late) || ctx.Err() != nil {
			return t, err
		}
		d.close()
	}
}

// transaction is one that may be committed; reply is what its row says.
type transaction struct {
	tx    pgx.Tx
	name  txn
	reply string
}

// row is the request that a row of the books is of.
type row struct {
	session string
	seq     uint64
}

// whose is a database's identity, with the first digits of its log's current
// file: they change when a standby takes over, and when a copy is restored to
// some moment.
const whose = `(SELECT system_identifier::text FROM pg_control_system()) || '/' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)`

func (t *transaction) commit(ctx context.Context) error { return t.tx.Commit(ctx) }

func (d *database) begin(ctx context.Context, r row, order string) (*transaction, error) {
	tx, err := d.conn.Begin(ctx)
	if err != nil {
		return nil, err
	}
	t := &transaction{tx: tx}
	var id int64
	var xid string
	if err := tx.QueryRow(ctx, `SELECT nextval('orders_id_seq'), pg_current_xact_id()::text, `+whose).Scan(&id, &xid, &t.name.Home); err != nil {
		return nil, err
	}
	if t.name.XID, err = strconv.ParseUint(xid, 10, 64); err != nil {
		return nil, err
	}
	if t.reply, err = work(ctx, tx, id, order); err != nil {
		return nil, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO orders (id, xid, session, seq, reply) VALUES ($1, $2::text::xid8, $3, $4, $5)`, id, xid, r.session, r.seq, t.reply)
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

// isCode reports PostgreSQL's own word of an error.
func isCode(err error, code string) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == code
}
