// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"lazystate/examples/outcome/postgres"
)

const owner = "tests"

// one is the cluster of all tests, begun when the first one asks.
var one struct {
	sync.Mutex
	*postgres.Cluster
	databases int
}

// New returns what connects to a fresh database with what some SQL says.
func New(t testing.TB, sql string) (dsn string) {
	t.Helper()
	one.Lock()
	defer one.Unlock()
	if one.Cluster == nil {
		c, err := postgres.Start(owner)
		must(t, err)
		one.Cluster = c
	}
	one.databases++
	dsn, err := one.Create(t.Context(), fmt.Sprintf("test%d", one.databases))
	must(t, err)
	Exec(t, dsn, sql)
	return dsn
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Admin connects to what is there before any database.
func Admin() string { return one.DSN("postgres") }

// Crash ends PostgreSQL without a word to its clients, and begins it anew.
func Crash(t testing.TB) {
	t.Helper()
	one.Lock()
	defer one.Unlock()
	one.Stop(syscall.SIGQUIT)
	must(t, one.Up())
}

// Forget lets PostgreSQL come so much further that it drops what it knows of
// transactions that are over.
func Forget(t testing.TB) {
	t.Helper()
	advance(t)
	Exec(t, Admin(), "ALTER DATABASE template0 ALLOW_CONNECTIONS true")
	for _, name := range Column[string](t, Admin(), "SELECT datname FROM pg_database") {
		Exec(t, one.DSN(name), "VACUUM (FREEZE)")
	}
}

// advance stops PostgreSQL and moves its count of transactions forward by two
// to three times 2^20, to the beginning of a segment of their states.
func advance(t testing.TB) {
	t.Helper()
	xid := (int(Column[int64](t, Admin(), "SELECT pg_current_xact_id()::text::bigint")[0])>>20 + 3) << 20
	one.Lock()
	defer one.Unlock()
	one.Stop(syscall.SIGINT)
	// The page of their states that the first of them needs, 2 bits each.
	segment := filepath.Join(one.Data(), "pg_xact", fmt.Sprintf("%04X", xid>>20))
	must(t, one.Run("/bin/dd", "if=/dev/zero", "of="+segment, "bs=8192", "count=32", "status=none"))
	must(t, one.Run("pg_resetwal", "-x", strconv.Itoa(xid), "-D", one.Data()))
	must(t, one.Up())
}

// End ends the cluster, if there was one: for keepertest.Main.
func End() {
	one.Lock()
	defer one.Unlock()
	if one.Cluster != nil {
		_ = one.Close()
	}
}

// Exec runs some SQL.
func Exec(t testing.TB, dsn, sql string) {
	t.Helper()
	must(t, postgres.Exec(t.Context(), dsn, sql))
}

// Column returns one column of all rows.
func Column[T any](t testing.TB, dsn, sql string) []T {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	must(t, err)
	defer c.Close(context.Background())
	rows, err := c.Query(t.Context(), sql)
	must(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[T])
	must(t, err)
	return all
}
