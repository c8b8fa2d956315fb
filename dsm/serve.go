// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"lazystate/dsm/logs"
)

// ofRecovery are the messages that a recovering node hears at once.
func ofRecovery(b Body) bool {
	switch b.(type) {
	case HomeRep, Recover, RecoverAck, Gather, Recovery, FetchCopy, Copy, FetchDiffs, PageDiffs, Recovered, Refused:
		return true
	}
	return false
}

// mayRecover is false if another recovery is not over yet. The one who is in it
// settles that two are too many; who only knows of it waits, for it may be over.
func (n *Node) mayRecover(m *Message) bool {
	if n.rec != nil {
		why := "two nodes have failed at once: " + n.cfg.Self.String() + " and " + m.From.String()
		p := &n.peers[m.From]
		*p = peer{inc: m.FromInc, ckp: p.ckp}
		p.forget()
		n.send(m.From, Refused{why})
		n.refuse("%s", why)
		return false
	}
	for _, i := range n.others() {
		if i != m.From && n.peers[i].recovering {
			n.deferred = append(n.deferred, m)
			return false
		}
	}
	return true
}

// onRecover drops the old incarnation and says again what it has not answered.
func (n *Node) onRecover(j NodeID, b Recover) {
	p := &n.peers[j]
	if n.cfg.Unlogged {
		n.send(j, Refused{"nothing is logged"})
		n.refuse("%v was lost, and nothing is logged", j)
		return
	}
	if b.Ckp.Number < p.ckp.Number {
		n.send(j, Refused{fmt.Sprintf("checkpoint %d is too old: logs are trimmed by the word of checkpoint %d", b.Ckp.Number, p.ckp.Number)})
		return
	}
	p.recovering, p.silent = true, true
	p.ckp = b.Ckp
	n.waiting = slices.DeleteFunc(n.waiting, func(w pageWait) bool { return w.from == j })
	n.send(j, RecoverAck{n.sentFwds(j)})
	n.repeatAccess(j)
	n.repeatOp(j)
}

// sentFwds are those to j of the locks that are managed here, each the last of
// who asked, in the order they were asked in.
func (n *Node) sentFwds(j NodeID) []LockFwd {
	var fwds []LockFwd
	for l := range n.locks {
		all := slices.Clone(n.locks[l].asked)
		slices.SortFunc(all, func(a, b asked) int { return cmp.Compare(a.turn, b.turn) })
		for _, a := range all {
			if a.turn > 0 && a.of == j {
				fwds = append(fwds, LockFwd{uint32(l), a.node, a.ordinal, a.t})
			}
		}
	}
	return fwds
}

// onGather gives it what it needs of the logs.
func (n *Node) onGather(j NodeID) {
	n.send(j, n.logsFor(j))
	n.peers[j].silent = false
	n.passOnAll()
}

func (n *Node) logsFor(j NodeID) Recovery {
	self := n.cfg.Self
	b := Recovery{
		T: n.t.Clone(), Received: n.v[j], Ordinal: n.ordinal, Seen: n.peers[j].ordinal,
		Sent: slices.Clone(n.sent[j]), Rcvd: slices.Clone(n.rcvd[j]), Barriers: slices.Clone(n.barriers),
		Notices: slices.Clone(n.notices[self].All()), Woken: n.cond.woken, WokeYou: n.conds.woken[j],
	}
	for w := range n.cuts {
		b.Cuts = append(b.Cuts, slices.Clone(n.cuts[w]))
	}
	for i := range n.pages {
		pg := &n.pages[i]
		if pg.homed {
			b.Homes = append(b.Homes, PageHome{Page(i), pg.home})
		}
		if pg.homed && pg.home == j {
			b.Diffs = append(b.Diffs, n.diffs.Since(Page(i), 0)...)
		}
	}
	for _, d := range n.ragged.All() {
		if d.Writer == j {
			b.Ragged = append(b.Ragged, d)
		}
	}
	for l := range n.locks {
		if rep, known := n.lockReport(uint32(l)); known {
			b.Locks = append(b.Locks, rep)
		}
	}
	if c := n.cond; c.ordinal > c.woken && n.condManager(c.cond) == j {
		b.Sleeps = &CondReg{c.cond, c.ordinal}
	}
	switch {
	case n.op != nil && n.op.Kind == Acquire:
		b.Waits = &LockReq{n.op.ID, n.ordinal, n.t.Clone()}
	case n.op != nil && n.op.Kind == Barrier:
		b.Arrived = n.bar.number + 1
	}
	return b
}

func (n *Node) lockReport(id uint32) (LockReport, bool) {
	l := &n.locks[id]
	rep := LockReport{Lock: id, Have: l.have, Seq: l.seq, GaveTo: l.gaveTo}
	for _, r := range l.next {
		rep.Next = append(rep.Next, LockFwd{id, r.node, r.ordinal, r.t})
	}
	return rep, l.have || l.seq > 0 || len(l.next) > 0
}

// repeatAccess asks a new incarnation for the pages that the old one was asked for.
func (n *Node) repeatAccess(j NodeID) {
	for i := range n.pages {
		p, pg := Page(i), &n.pages[i]
		if pg.asked && (pg.homed && pg.home == j || !pg.homed && n.directory(p) == j) {
			n.answered(p)
		}
	}
}

// repeatOp says again what an operation waits for from j.
func (n *Node) repeatOp(j NodeID) {
	if n.op == nil {
		return
	}
	switch op := *n.op; op.Kind {
	case Barrier:
		if n.cfg.Self != 0 && n.parent() == j {
			n.arriveUp()
		}
	case CondEnter, Signal, Broadcast:
		if n.condManager(op.ID) == j {
			n.live(op)
		}
	case Place:
		if n.directory(Page(op.ID)) == j {
			n.live(op)
		}
	}
}

// onFetchCopy looks for p0 among the checkpoints.
func (n *Node) onFetchCopy(j NodeID, b FetchCopy) {
	number, v, ok := n.window.Copy(b.Page, n.peers[j].ckp.T, n.cfg.PerPage)
	switch {
	case !ok:
		n.send(j, Refused{"no checkpoint is old enough for a copy of a page"})
	case number == 0:
		n.send(j, Copy{b.Page, v, make([]byte, n.cfg.PageSize)})
	default:
		n.do(Load{j, number, b.Page})
	}
}

func (n *Node) onFetchDiffs(j NodeID, b FetchDiffs) {
	n.send(j, PageDiffs{b.Page, slices.Clone(n.diffs.Since(b.Page, b.V[n.cfg.Self]))})
}

func (n *Node) loaded(in Loaded) {
	for _, k := range n.window {
		if v, ok := k.Pages[in.Page]; ok && k.Number == in.Number {
			n.send(in.To, Copy{in.Page, v.Clone(), bytes.Clone(in.Bytes)})
			return
		}
	}
	n.send(in.To, Refused{"the copy of a page was discarded while it was read"})
}

// onRecovered has a node back: its diffs are here at once, none before the
// others, and what waited for it goes on.
func (n *Node) onRecovered(j NodeID, b Recovered) {
	if !n.peers[j].recovering {
		return
	}
	n.peers[j].recovering = false
	for _, notice := range b.Notices {
		n.record(j, notice)
	}
	logs.InOrder(b.Diffs)
	n.applyDiffs(b.Diffs)
	n.outdated(pagesOf(b.Diffs))
	n.keepRagged(b.Diffs)
	n.raiseV(j, b.Upto)
	n.passOnAll()
	for _, s := range n.conds.pending {
		for _, w := range s.wakes {
			if w.Node == j {
				n.send(j, CondWake{s.cond, w.Ordinal})
			}
		}
	}
}

// onRefused ends a recovery. Who is live has asked for nothing that could be
// refused.
func (n *Node) onRefused(from NodeID, b Refused) {
	if n.rec == nil {
		n.ignore(from, "refuses a recovery, and there is none: %s", b.Why)
		return
	}
	n.refuse("%v: %s", from, b.Why)
}
