// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"maps"
	"slices"

	"lazystate/dsm/logs"
	"lazystate/dsm/vtime"
)

// finish makes the node live: it is where its old incarnation was, as far as
// anybody can tell.
func (n *Node) finish() {
	r := n.rec
	n.rec = nil
	n.finishPages(r)
	for _, i := range n.others() {
		n.send(i, n.recovered(i, r.received[i]))
	}
	n.finishLocks(r)
	for _, i := range slices.Sorted(maps.Keys(r.replies)) {
		if s := r.replies[i].Sleeps; s != nil {
			n.onCondReg(i, *s)
		}
	}
	if c := n.cond; c.ordinal > c.woken {
		n.send(n.condManager(c.cond), CondReg{c.cond, c.ordinal})
	}
	// Who was before this node's own request gets the token before it, and nobody
	// signals before all sleepers are known.
	n.turn()
	n.do(Live{})
}

// finishPages gives homed pages all diffs that others have logged, and other
// pages the form that a live node has them in.
func (n *Node) finishPages(r *recovery) {
	for i := range n.pages {
		p, pg := Page(i), &n.pages[i]
		switch rep := r.pages[p]; {
		case n.homedHere(p):
			if rep != nil {
				logs.InOrder(rep.pending)
				n.applyDiffs(rep.pending)
			}
		case pg.access == None:
			n.stashWrites(p)
		}
	}
	for i, b := range r.replies {
		n.v[i] = max(n.v[i], b.T[i])
	}
	n.v[n.cfg.Self] = n.t[n.cfg.Self]
}

// recovered is for one peer, which as a home has this node's diffs up to an
// interval.
func (n *Node) recovered(i NodeID, has vtime.Interval) Recovered {
	b := Recovered{Upto: n.t[n.cfg.Self], Notices: slices.Clone(n.notices[n.cfg.Self].All())}
	for _, p := range n.diffs.Pages() {
		if n.pages[p].home == i {
			b.Diffs = append(b.Diffs, n.diffs.Since(p, has)...)
		}
	}
	return b
}

// finishLocks puts tokens and queues together.
func (n *Node) finishLocks(r *recovery) {
	reports := make([]map[NodeID]LockReport, len(n.locks))
	for l := range n.locks {
		reports[l] = map[NodeID]LockReport{}
	}
	for i, b := range r.replies {
		for _, rep := range b.Locks {
			reports[rep.Lock][i] = rep
		}
	}
	for l := range n.locks {
		n.finishLock(uint32(l), reports[l], r)
	}
	for _, i := range slices.Sorted(maps.Keys(r.acks)) {
		for _, f := range r.acks[i].Fwds {
			n.onLockFwd(f)
		}
	}
}

// finishLock settles where a token is, and, for a lock that is managed here, who
// waits for it.
func (n *Node) finishLock(id uint32, reports map[NodeID]LockReport, r *recovery) {
	l := &n.locks[id]
	at, seq := n.cfg.Self, l.seq // where the token is, or is going to
	if seq == 0 && !l.have {
		at = n.manager(id)
	}
	for _, i := range slices.Sorted(maps.Keys(reports)) {
		switch rep := reports[i]; {
		case rep.Have && rep.Seq >= seq:
			at, seq = i, rep.Seq
		case rep.Seq > seq:
			at, seq = rep.GaveTo, rep.Seq
		}
	}
	// What the old incarnation sent and nobody got is here still. Others' word is
	// not kept as this node's own: a passing that it did not take part in may prove
	// void when its giver is lost.
	l.have = at == n.cfg.Self
	if !l.have {
		l.gaveTo = at
	}
	n.tellToken(id)
	if l.held && !l.have {
		n.refuse("lock %d is held here, and its token is at %v", id, at)
	}
	if l.asked != nil {
		n.requeue(id, at, reports, r)
	}
}

// requeue rebuilds the queue of a lock. It hung together by what each node has
// next; where the lost one was, it is broken. The pieces are put one behind the
// other, that with the token first.
func (n *Node) requeue(id uint32, at NodeID, reports map[NodeID]LockReport, r *recovery) {
	l := &n.locks[id]
	behind := map[NodeID]bool{at: true} // those that another has next
	for _, rep := range reports {
		for _, next := range rep.Next {
			behind[next.To] = true
		}
	}
	l.tail = at
	n.follow(l, reports)
	for _, i := range slices.Sorted(maps.Keys(r.replies)) {
		if w := r.replies[i].Waits; w != nil && w.Lock == id && !behind[i] {
			n.onLockReq(i, *w)
			n.follow(l, reports)
		}
	}
}

// follow notes who come behind the last of a queue. A node that has two behind
// it is in the queue twice, the second time after the first of them.
func (n *Node) follow(l *lock, reports map[NodeID]LockReport) {
	for rep := reports[l.tail]; len(rep.Next) > 0; rep = reports[l.tail] {
		next := rep.Next[0]
		rep.Next = rep.Next[1:]
		reports[l.tail] = rep
		l.ask(request{next.To, next.Ordinal, next.T}, l.tail)
	}
}
