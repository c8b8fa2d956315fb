// SPDX-License-Identifier: Apache-2.0

// Command shop is the transactional service of §2.3.2: a front end that speaks
// HTTP, a back end that turns each request into a transaction of a PostgreSQL,
// a channel of the session between them. Any of its processes may die at any
// instant, or the session move, and each order is made exactly once.
//
// The back end exports the number of a transaction before it commits it
// (Figure 2.4). Who goes on asks PostgreSQL what became of it: committed, then
// the reply is read back; aborted, then it is issued again; still in progress,
// because the dead client's server process lives, then that is ended first, and
// asked again; or nobody knows any more, which the client is told by name
// (examples/outcome).
//
// The trap: a reply that depends on the database is a choice like any other. So
// refusals are transactions too, with a row of their own, and what could not be
// asked is exported before it is said.
//
//	shop back  --keeper S --database 'host=/run/postgresql user=shop'
//	shop front --keeper S --listen :80
//	curl -d item=pen -d n=3 http://localhost/buy
//	order 17: 3 pen for 360
package main
