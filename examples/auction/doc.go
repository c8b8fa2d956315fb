// SPDX-License-Identifier: Apache-2.0

// Command auction is the multi-tier service of §3.6.7, an auction on the web like
// RUBiS: front ends that speak HTTP, middle tiers that turn requests into
// transactions, PostgreSQL. The machine of any of them but the database's may die, or
// of two at once, and what a front end has admitted is done exactly once: a bid that
// came before its auction closed counts, also when the failover ends later.
//
//	process  its box holds                                  by
//	front    the request, its id, the reply once it is      mtcp/web
//	         there, and how much of that has been sent
//	middle   request id, transaction id, result             record, in a connection's box
//
// A request's id is that of its session, which the box has from accept on, and where
// in the client's stream it begins: globally unique, the same in each replay, and of
// two requests of a session it says which came later. A middle tier serves a session's
// requests one after another whoever asks, each of them once, and refuses what is
// older than what it has seen: a dead front end may have left a request in a socket.
//
// A middle tier exports {id, transaction, result} before it commits. Whoever is asked
// for the same id, and has that record, asks PostgreSQL for the transaction's status
// (examples/outcome): committed, then the result is the reply; aborted, then it is
// done again. Results that change nothing, refusals too, are exported before they are
// said, and need no transaction.
//
// Who tells whom:
//   - A front end's machine dies. Its monitor has it fenced, and another front end's
//     scd takes over its address and its sessions (mtcp/salvage). That front end's
//     process runs their requests again: what has no reply in its box is asked for
//     again, under the same id.
//   - A middle tier's machine dies. Its monitor has it fenced, and runs "auction
//     rescue" (bdmon: a salvage healer's argv): that reads the boxes in the dead memory, has another middle tier adopt
//     the records, which first ends all that acts in the dead one's name at the
//     database, and then tells all front ends, which ask the other one for what they
//     were waiting for. Requests that were under way come first: front ends are told of
//     their sessions when these records are adopted. A front end never goes to another
//     middle tier by itself: only who has the records may be asked.
//   - Both die, in either order: a front end that takes sessions over asks the dead
//     middle tier until it is told, or has been told before.
//   - A process dies alone. Its keeper (scd) hands what it had to the next one. A middle
//     tier's knows all that its boxes have before it answers anybody: a record may lie in
//     another box than that of the line over which its request is asked for. So a node
//     has one process at a time.
//
// The trap: a page that shows the state of the auction is a choice of the moment, like
// any reply that depends on a database. So the front end exports the reply before it
// sends the first byte of it; the dissertation's asks again.
//
// What is not covered: a client that had connected to a dead machine and was not
// accepted yet gets a reset. A middle tier's box that cannot be read is named by rescue,
// and a request of that session may be done twice. A front end's process and a
// middle tier's that die at once, with an answer between them: the end of the first resets
// the connection, and with it goes the box that has the record.
//
//	auction middle --name mt1 --keeper S --listen :9001 --database 'host=/run/postgresql'
//	auction front  --keeper S --listen :80 --control :8081 --middle mt1=h1:9001,mt2=h2:9001
//	curl -d user=1 -d item=7 -d amount=1200 http://localhost/api/bid
//	auction rescue --target rdma://mt1 --key-file K --dead mt1 --adopt mt2=h2:9001 --front fe1:8081 --front fe2:8081
package main
