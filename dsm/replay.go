// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"slices"

	"lazystate/dsm/logs"
	"lazystate/dsm/vtime"
)

// replica is a page that a recovering node builds: a copy that was saved, and
// the writers' diffs as its time covers them (§4.4.3).
type replica struct {
	based   bool // the copy is there
	waits   int  // writers that have not answered
	applied vtime.Time
	pending []logs.Diff
}

// replay carries the program's next operation out as its old incarnation did.
// One that nobody knows the end of is the first that is carried out anew.
func (n *Node) replay() {
	r := n.rec
	if !r.ready {
		return
	}
	n.ordinal++
	clear(r.expected)
	n.replayCuts(false)
	op := *n.op
	if n.failed == nil && !n.replayed(op) {
		n.finish()
		n.live(op)
		n.drain(r)
		return
	}
	if n.failed != nil {
		return
	}
	n.done()
	n.replayCuts(true)
	if n.caughtUp() {
		n.finish()
		n.drain(r)
	}
}

// caughtUp is true if nobody knows of anything that the old incarnation did
// after this. While homes have writes that the program is about to do again, a
// page of theirs would show it its own future; so the next operation ends that.
func (n *Node) caughtUp() bool { return n.ordinal >= n.rec.until && len(n.rec.expected) == 0 }

// replayed ends an operation by the logs, and is false if it must be live.
func (n *Node) replayed(op Op) bool {
	r := n.rec
	if a, ok := r.acquires[n.ordinal]; ok {
		return n.replayAcquire(op, a)
	}
	if op.Kind == Barrier {
		if e, ok := r.barriers.Find(n.bar.number + 1); ok {
			return n.replayBarrier(op, e)
		}
	}
	if n.ordinal > r.proven && op.Kind != Release { // that needs nobody
		return false
	}
	switch op.Kind {
	case Acquire: // the token was here
		l := &n.locks[op.ID]
		if !l.have || l.held {
			n.refuse("operation %d, %v, had the token from another node, and nobody has that in its log", n.ordinal, op)
		}
		l.held = true
	case Release:
		l := &n.locks[op.ID]
		if !l.held {
			n.refuse("operation %d is %v now, and the program does not hold that: it does not repeat itself", n.ordinal, op)
		}
		l.held = false
	case Barrier:
		n.replayLostBarrier(op)
	case CondEnter:
		n.cond.cond, n.cond.ordinal = op.ID, n.ordinal
	case CondSleep:
		n.cond.woken, n.cond.ordinal = max(n.cond.woken, n.cond.ordinal), 0
	}
	return true
}

func (n *Node) replayAcquire(op Op, a acquired) bool {
	if op.Kind != Acquire || a.Lock != op.ID {
		n.refuse("operation %d was an acquire of lock %d and is %v now: the program does not repeat itself", n.ordinal, a.Lock, op)
		return true
	}
	n.take(a.from, a.Acquire)
	return true
}

func (n *Node) replayBarrier(op Op, e logs.Barrier) bool {
	if e.ID != op.ID {
		n.refuse("operation %d was barrier %d and is %v now: the program does not repeat itself", n.ordinal, e.ID, op)
		return true
	}
	n.passBarrier(e)
	return true
}

// replayLostBarrier passes a barrier that this node, the root, has ended and
// nobody has heard of: all others still stand at it. Its interval ended there, if
// there was something in it; requests that came later tell at most that it had.
func (n *Node) replayLostBarrier(op Op) {
	n.closeQuietly(logs.Cut{Interval: n.t[n.cfg.Self] + 1, Ordinal: n.ordinal})
	e := logs.Barrier{Number: n.bar.number + 1, ID: op.ID, T: n.t.Clone()}
	for i, b := range n.rec.replies {
		if b.Arrived != e.Number {
			n.refuse("operation %d, %v, is over, and %v neither has barrier %d in its log nor stands at it", n.ordinal, op, i, e.Number)
			return
		}
		e.T.Join(b.T)
	}
	n.passBarrier(e)
}

// mostUnknown bounds how many intervals in a row may have ended unheard of.
const mostUnknown = 1 << 20

// replayCuts ends the intervals that ended before, or after, the operation. One
// that nobody knows the end of, below one that is known, ends with that.
func (n *Node) replayCuts(after bool) {
	r := n.rec
	for len(r.cuts) > 0 {
		c := r.cuts[0]
		if c.Interval > n.t[n.cfg.Self] {
			if c.Ordinal > n.ordinal || c.Ordinal == n.ordinal && c.After && !after {
				return
			}
			if c.Interval-n.t[n.cfg.Self] > mostUnknown {
				n.refuse("an interval %d is said to have ended, and the last that is known is %d", c.Interval, n.t[n.cfg.Self])
				return
			}
			for i := n.t[n.cfg.Self] + 1; i <= c.Interval; i++ {
				cut := c
				cut.Interval = i
				n.replayCut(cut, c.Interval)
			}
		}
		r.cuts = r.cuts[1:]
	}
}

// replayCut ends an interval. Of a ragged one, homes that have its diffs keep
// them: they say what it had.
func (n *Node) replayCut(cut logs.Cut, known vtime.Interval) {
	r := n.rec
	diffs := n.takeDiffs(cut, func(p Page) bool {
		home := n.pages[p].home
		return !cut.Ragged || home == n.cfg.Self || r.received[home] < known
	})
	for _, d := range r.ragged[cut.Interval] {
		diffs = append(diffs, d)
		r.expected[d.Page] = append(r.expected[d.Page], d)
		n.expect(d.Page)
	}
	n.publish(cut, diffs)
}

// rebuild makes a page what the program saw, and is false if that takes others'
// answers first.
func (n *Node) rebuild(p Page) bool {
	r := n.rec
	pg := &n.pages[p]
	switch dir := n.directory(p); {
	case pg.homed:
	case dir == n.cfg.Self:
		n.setHome(p, n.cfg.Self) // who had heard of another would have said so
	default:
		n.send(dir, HomeReq{p, n.cfg.Self})
		return false
	}
	rep := r.pages[p]
	switch {
	case pg.home == n.cfg.Self:
		rep = n.homedReplica(p)
	case rep == nil:
		r.pages[p] = &replica{}
		n.send(pg.home, FetchCopy{p})
		return false
	}
	if !rep.based || rep.waits > 0 {
		return false
	}
	n.evolve(p, rep)
	return true
}

// homedReplica is the one of a page that this node has itself.
func (n *Node) homedReplica(p Page) *replica {
	rep := n.rec.pages[p]
	if rep == nil {
		rep = &replica{based: true, applied: vtime.New(n.cfg.Nodes)}
		copy(rep.applied, n.pages[p].v)
		n.rec.pages[p] = rep
	}
	return rep
}

// evolve applies the diffs that happened before what the program does now.
func (n *Node) evolve(p Page, rep *replica) {
	var due, later []logs.Diff
	for _, d := range rep.pending {
		switch {
		case d.Interval > n.t[d.Writer]:
			later = append(later, d)
		case d.Interval > rep.applied[d.Writer]:
			due = append(due, d)
		}
	}
	logs.InOrder(due)
	for _, d := range due {
		n.apply(d)
		rep.applied[d.Writer] = max(rep.applied[d.Writer], d.Interval)
	}
	rep.pending = later
	n.expect(p)
	if n.pages[p].home == n.cfg.Self {
		n.version(p).Join(rep.applied)
	}
}

// expect brings into a page's twin what the program is about to write and homes
// have: it is in the log already, and behind all that happened before.
func (n *Node) expect(p Page) {
	if twin := n.pages[p].twin; twin != nil && n.rec != nil {
		for _, d := range n.rec.expected[p] {
			d.Apply(twin)
		}
	}
}

// onCopy has p0 and asks for the diffs beyond it (Lemma 1).
func (n *Node) onCopy(b Copy) {
	if n.rec == nil || n.rec.pages[b.Page] == nil || n.rec.pages[b.Page].based {
		return
	}
	rep := n.rec.pages[b.Page]
	copy(n.mem.Bytes(b.Page), b.Bytes)
	rep.based, rep.applied, rep.waits = true, b.V.Clone(), n.cfg.Nodes-1
	for _, d := range n.diffs.Since(b.Page, b.V[n.cfg.Self]) { // case B
		if !slices.ContainsFunc(n.rec.expected[b.Page], func(o logs.Diff) bool { return o.Interval == d.Interval }) {
			rep.pending = append(rep.pending, d)
		}
	}
	for _, i := range n.others() {
		n.send(i, FetchDiffs{b.Page, b.V})
	}
}

func (n *Node) onPageDiffs(b PageDiffs) {
	if n.rec == nil || n.rec.pages[b.Page] == nil || n.rec.pages[b.Page].waits == 0 {
		return
	}
	rep := n.rec.pages[b.Page]
	rep.pending = append(rep.pending, b.Diffs...)
	rep.waits--
	if rep.waits == 0 && n.fault != nil && n.fault.Page == b.Page {
		n.serveFault()
	}
}
