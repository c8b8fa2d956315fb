// SPDX-License-Identifier: Apache-2.0

package outcome

import (
	"context"
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
	return all(c.Query(ctx, `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
		WHERE application_name = $1 AND pid <> pg_backend_pid()`, name))
}

// end ends the server process of one transaction. What it shows of a number is the
// lower half.
func end(ctx context.Context, c *pgx.Conn, xid uint64) error {
	return all(c.Query(ctx, `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
		WHERE backend_xid::text = $1 AND pid <> pg_backend_pid()`, strconv.FormatUint(uint64(uint32(xid)), 10)))
}

// all waits for a query's last row.
func all(rows pgx.Rows, err error) error {
	if err != nil {
		return err
	}
	rows.Close()
	return rows.Err()
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
