// SPDX-License-Identifier: Apache-2.0

// Package dsm is home-based lazy release consistency that survives the loss of
// one node (§4): a state machine, Node, one a process. What the program does
// and what other nodes say go in by Step; messages and effects come out. It has
// no clock, no goroutine and no I/O. Times, diffs and logs are in the packages
// vtime, diff and logs.
//
// # Failure-free (§4.3.2)
//
// Each page has a home, where it was touched first or where Config.Home says,
// for good. A writer keeps a twin, and when its interval ends sends diffs to the
// homes and lists the pages in a write notice. The token of a lock stays where
// it was released; asked for it, its node ends the interval (closing) and sends
// the token with its time and the notices the other lacks. The other invalidates
// those pages, notes what version of each it needs (p.v^N) and fetches it from
// the home at the next access. A barrier ends everybody's interval and makes all
// times equal. A home answers once V_H, up to which it has all diffs of each
// writer, is not before the version needed.
//
// With Config.Shelves a home lays a page out when it is asked for, and again when its
// version has risen if somebody took the version that lay there; others look there
// before they ask, and what is new enough costs the home nothing. To the protocol it is a message that was sent when
// the page was laid out: so the ordinal that lies beside it is noted as a message's
// is, and a lost home replays at least so far.
//
// With Config.Ahead a program that goes through memory in order has more and more pages
// fetched with each one that is missing.
//
// With Config.Races homes compare who writes a byte with who wrote it before, and say
// which were written with no order between.
//
// # What is logged, by whom, when (§4.4)
//
//	wn_log        writer, at closing; everybody keeps others' to pass them on
//	diff_log      writer, at closing, also of its own homed pages
//	acq_sent_log  who sends a token: the acquirer's operation and T_new
//	acq_rcvd_log  the acquirer, the same
//	barriers      everybody, at the end: number and T_new
//	cuts          everybody who hears of an interval: where it ended
//	ragged        the home: diffs of intervals that ended in a running program
//
// An operation is named by its ordinal: the count of the program's
// synchronisation operations, a million a second where they are of its own locks, so
// that all that a run counts has 64 bits. An interval's cut is (ordinal, before or after
// that operation). A token that leaves while the program runs cuts raggedly: the
// interval has some writes that follow the operation. A replay cannot find that
// place again and cuts at the operation. So that no write is applied twice (over
// another that came between) the home keeps ragged diffs until their writer's
// next checkpoint, and the replay takes them instead of its own.
//
// # Checkpoints, LLT, CGC (§4.5)
//
// Checkpoint ends the interval and gives the state to save; once it is Saved its
// stamp (T_ckp, ordinal, barriers) is news for all. Each message carries news its
// receiver has not been sent: the stamp, and V_H[receiver] of the oldest
// checkpoint in the window, or p0.v[receiver] of pages. From these:
//
//	T_min      min over others of T_ckp: CGC keeps the last V_H <= T_min, and later
//	wn_log     beyond min over others of T_ckp[writer] (Lemma 2)
//	acq_sent   beyond the other's checkpoint, acq_rcvd: beyond one's own (Lemma 3)
//	diff_log   beyond V_H of the home (Theorem 2), or p0.v (Theorem 1)
//
// # Recovery
//
//  1. A node restarts from its last checkpoint as a new incarnation and says
//     Recover. Each other drops what the old one still sends, lets no token go to
//     the new one and none of a lock that it manages, stops trimming, repeats what
//     it waits for there, and answers RecoverAck.
//  2. When all have, Gather asks for the logs. Recovery has what the lost node's
//     past consists of: both acq logs, barriers, cuts, the sender's wn_log, its
//     diffs for pages homed here, the ragged ones of this node's, known homes, the
//     state of locks, who sleeps.
//  3. The program runs from its private state. Operations up to the last one
//     that anybody knows of end by the logs, with cuts where they were; pages are
//     built from p0 of the home (FetchCopy) and all writers' diffs (FetchDiffs)
//     that the time covers, in order (cases A.1, A.2, B). Homed pages grow from
//     the checkpoint the same way.
//  4. At the end homed pages get all diffs; queues of locks are put together
//     from their pieces; each home is sent the diffs it lacks and everybody the
//     wn_log, in Recovered. What came meanwhile is heard now.
//
// That end is the first operation that nobody knows the end of, or the last that
// somebody knows. If that was followed by a ragged cut, homes have writes that
// the program is about to do again: then the next operation is the end, and a
// program must end with an operation.
//
// A crash meanwhile starts over with the next incarnation. A second node that is
// lost before the end is refused: Refuse tells both. One that is lost when the
// first is live, though not all have heard so, waits for that.
//
// # What a driver owes
//
// Messages between two incarnations come, whatever order and however often; none
// reaches an incarnation that began after it was sent. Incarnations rise, on
// stable storage. State and the program's private state are saved together, and
// Saved is said when both are safe. Checkpoint comes right behind an operation,
// before the program goes on. With programs that run in threads, Step and what
// Memory does are under one lock.
//
// The trap: what is replayed is not what happened, only something that nobody
// can tell from it. Intervals hold other writes (see above), pages lack
// concurrent ones. Whatever compares the two must compare reads.
//
//	n := dsm.New(cfg, mem)
//	for _, e := range n.Step(dsm.Begin{Op: dsm.Op{Kind: dsm.Acquire, ID: 7}}) {
//		switch e := e.(type) {
//		case dsm.Send: // to e.To, in order; in the end Step(Deliver{...}) there
//		case dsm.Done: // the program goes on
//		case dsm.Save: // to stable storage, then Step(Saved{e.State.Number})
//		...
//		}
//	}
package dsm
