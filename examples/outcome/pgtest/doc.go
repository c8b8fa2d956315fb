// SPDX-License-Identifier: Apache-2.0

// Package pgtest gives tests of transactional services a PostgreSQL of their own,
// and a network between the two that drops everything when a machine is gone
// (§2.3.2).
//
// One cluster serves all tests of a package; each test has a database.
//
// The trap: a process that is killed has its connections closed, and PostgreSQL is
// told at once. A machine that dies tells nobody: Relay is how a test has that.
//
//	func TestMain(m *testing.M) { keepertest.Main(m, run, pgtest.End) }
//
//	dsn := pgtest.New(t, schema)
//	far := pgtest.Relayed(t, dsn, false)
//	... // processes that use far.DSN, and die
//	n := pgtest.Column[int64](t, dsn, "SELECT count(*) FROM orders")
package pgtest
