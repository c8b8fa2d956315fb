// SPDX-License-Identifier: Apache-2.0

// Package outcome is how a service whose processes and machines may die uses
// PostgreSQL for transactions that happen exactly once (§2.3.2, §3.6.7): it names a
// transaction before it is committed, and asks afterwards, over another connection,
// what became of it. PostgreSQL itself is not changed.
//
// There are four answers. Committed; aborted; in progress, because the dead client's
// server process lives: then that is ended first, and asked again; or nobody knows
// any more, which is an UnknownError.
//
// The trap: a transaction's number alone does not name it. After a crash PostgreSQL
// may give out again numbers that were never written to its log, so the row that the
// transaction inserted has the last word; and a standby in the database's place says
// nothing of what it does not have.
//
//	db := &outcome.DB{DSN: "host=/run/postgresql", Name: "shop 7"}
//	tx, txn, err := db.Begin(ctx)
//	...                          // the work, with a row that names the request
//	session.Export(state{Txn: txn, Reply: reply})
//	err = tx.Commit(ctx)
//
//	o, err := db.Settle(ctx, txn, row, saw) // whoever goes on
package outcome
