// SPDX-License-Identifier: Apache-2.0

package outcome_test

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"lazystate/examples/outcome"
	"lazystate/examples/outcome/pgtest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	pgtest.End()
	os.Exit(code)
}

const schema = "CREATE TABLE done (xid xid8 NOT NULL DEFAULT pg_current_xact_id(), request text NOT NULL)"

func done(request string) outcome.Row {
	return func(ctx context.Context, c *pgx.Conn, xid string) (is bool, err error) {
		err = c.QueryRow(ctx, "SELECT EXISTS (SELECT FROM done WHERE xid = $1::text::xid8 AND request = $2)", xid, request).Scan(&is)
		return is, err
	}
}

// begun has a transaction with a request's row.
func begun(t *testing.T, db *outcome.DB, request string) (pgx.Tx, outcome.Txn) {
	t.Helper()
	tx, name, err := db.Begin(t.Context())
	if err == nil {
		_, err = tx.Exec(t.Context(), "INSERT INTO done (request) VALUES ($1)", request)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tx, name
}

// A database that has not come so far as its own transaction has lost it in a
// crash; another one says nothing of it, nor does one that took its place.
func TestElsewhere(t *testing.T) {
	db := &outcome.DB{DSN: pgtest.New(t, schema), Name: "test"}
	defer db.Close()
	tx, name := begun(t, db, "a")
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		t       outcome.Txn
		request string
		want    outcome.Outcome
	}{
		{name, "a", outcome.Committed},
		{outcome.Txn{XID: name.XID, Home: "1/00000001"}, "a", outcome.Committed}, // a standby that has it
		{name, "b", outcome.Aborted},                                             // the number is another's
		{outcome.Txn{XID: 1<<40 + 1000, Home: name.Home}, "a", outcome.Aborted},
		{outcome.Txn{XID: 1<<40 + 1000, Home: "1/00000001"}, "a", outcome.Unknown},
		{outcome.Txn{XID: name.XID, Home: "1/00000001"}, "b", outcome.Unknown},
	} {
		got, err := outcome.Ask(t.Context(), c, x.t, done(x.request))
		if got != x.want || errors.Is(err, outcome.ErrUnknown) != (x.want == outcome.Unknown) {
			t.Errorf("%v for %q: %v, %v, want %v", x.t, x.request, got, err, x.want)
		}
	}
}

// What is in progress is ended, and no other transaction of the same name.
func TestSettleEndsOne(t *testing.T) {
	dsn := pgtest.New(t, schema)
	stuck, other, asks := &outcome.DB{DSN: pgtest.Relayed(t, dsn, false).DSN, Name: "node"}, &outcome.DB{DSN: dsn, Name: "node"}, &outcome.DB{DSN: dsn, Name: "asks"}
	defer stuck.Close()
	defer other.Close()
	defer asks.Close()
	_, name := begun(t, stuck, "a")
	lives, _ := begun(t, other, "b")
	var saw []outcome.Outcome
	o, err := asks.Settle(t.Context(), name, done("a"), func(o outcome.Outcome) { saw = append(saw, o) })
	if err != nil || o != outcome.Aborted || len(saw) != 2 || saw[0] != outcome.InProgress {
		t.Errorf("%v after %v: %v", o, saw, err)
	}
	if err := lives.Commit(t.Context()); err != nil {
		t.Errorf("another's transaction: %v", err)
	}
}

// Whoever is to be alone ends who acts in its name; End does so by any name.
func TestAlone(t *testing.T) {
	dsn := pgtest.New(t, schema)
	far := pgtest.Relayed(t, dsn, false).DSN
	for name, next := range map[string]*outcome.DB{"its own": {DSN: dsn, Name: "session", Alone: true}, "another's": {DSN: dsn, Name: "monitor"}} {
		t.Run(name, func(t *testing.T) {
			dead := &outcome.DB{DSN: far, Name: "session"}
			defer dead.Close()
			defer next.Close()
			tx, _ := begun(t, dead, "a")
			if !next.Alone {
				if err := next.End(t.Context(), "session"); err != nil {
					t.Fatal(err)
				}
			}
			begun(t, next, "b")
			if err := tx.Commit(t.Context()); err == nil {
				t.Error("what was to be ended has committed")
			}
		})
	}
}
