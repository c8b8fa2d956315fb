// SPDX-License-Identifier: Apache-2.0

package outcome

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// Patience is how long a database may be away.
const Patience = 20 * time.Second

// again is how long to wait before what failed is tried again.
const again = 20 * time.Millisecond

// DB is a connection to PostgreSQL under a name, made when it is needed and made
// anew when it broke. One goroutine uses it at a time.
type DB struct {
	DSN, Name string
	// Alone: nobody else is to act in this name. Whoever does is ended before the
	// first transaction on each connection: what a dead process had begun holds locks.
	Alone bool

	conn  *pgx.Conn
	alone bool // since conn is there
}

// Close closes what there is.
func (d *DB) Close() {
	if d.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = d.conn.Close(ctx)
		d.conn = nil
	}
}

// Conn makes a connection where there is none, as soon as there can be one.
func (d *DB) Conn(ctx context.Context) (*pgx.Conn, error) {
	if d.conn != nil && !d.conn.IsClosed() {
		return d.conn, nil
	}
	cfg, err := pgx.ParseConfig(d.DSN)
	if err != nil {
		return nil, err
	}
	cfg.RuntimeParams["application_name"] = d.Name
	d.alone = false
	for late := time.Now().Add(Patience); ; time.Sleep(again) {
		if d.conn, err = pgx.ConnectConfig(ctx, cfg); err == nil || time.Now().After(late) || ctx.Err() != nil {
			return d.conn, err
		}
	}
}

// Try calls f on a connection, and on a new one while that fails, until the database
// has been away for too long.
func (d *DB) Try(ctx context.Context, f func(*pgx.Conn) error) error {
	for late := time.Now().Add(Patience); ; time.Sleep(again) {
		c, err := d.Conn(ctx)
		if err == nil {
			err = f(c)
		}
		if err == nil || time.Now().After(late) || ctx.Err() != nil {
			return err
		}
		d.Close()
	}
}

// End ends whatever else acts in a name: the server processes of clients that are
// dead, or believed to be. They may hold locks, and what they have been sent they
// would still do.
func (d *DB) End(ctx context.Context, name string) error {
	c, err := d.Conn(ctx)
	if err != nil {
		return err
	}
	return terminate(ctx, c, "application_name = $1", name)
}

// end ends the server process of one transaction. What it shows of a number is the
// lower half.
func end(ctx context.Context, c *pgx.Conn, xid uint64) error {
	return terminate(ctx, c, "backend_xid::text = $1", strconv.FormatUint(uint64(uint32(xid)), 10))
}

// ending is how long server processes may take to end.
const ending = 10 * time.Second

// terminate ends those server processes that a condition names, all at once, and
// returns when they are gone: a process leaves the view behind the end of its
// transaction. (PostgreSQL's own wait looks every 100 ms, for one process after another.)
func terminate(ctx context.Context, c *pgx.Conn, which, arg string) error {
	for late := time.Now().Add(ending); ; time.Sleep(time.Millisecond) {
		var n int
		err := c.QueryRow(ctx, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND `+which, arg).Scan(&n)
		if err != nil || n == 0 {
			return err
		}
		if time.Now().After(late) {
			return fmt.Errorf("%d of PostgreSQL's processes do not end (%s, %s)", n, which, arg)
		}
	}
}

// whose is a database's identity, with the first digits of its log's current
// file: they change when a standby takes over, and when a copy is restored to
// some moment.
const whose = `(SELECT system_identifier::text FROM pg_control_system()) || '/' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)`

// Begin begins a transaction that has a name.
func (d *DB) Begin(ctx context.Context) (pgx.Tx, Txn, error) {
	c, err := d.Conn(ctx)
	if err == nil && d.Alone && !d.alone {
		err = d.End(ctx, d.Name)
		d.alone = err == nil
	}
	if err != nil {
		return nil, Txn{}, err
	}
	tx, err := c.Begin(ctx)
	if err != nil {
		return nil, Txn{}, err
	}
	var t Txn
	var xid string
	if err := tx.QueryRow(ctx, `SELECT pg_current_xact_id()::text, `+whose).Scan(&xid, &t.Home); err != nil {
		return nil, Txn{}, err
	}
	t.XID, err = strconv.ParseUint(xid, 10, 64)
	return tx, t, err
}
