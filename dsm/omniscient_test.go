// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"slices"

	"lazystate/dsm/logs"
	"lazystate/dsm/vtime"
)

// history is what an omniscient observer knows: all that was ever logged and is
// still part of what happened.
type history struct {
	diffs    map[diffKey]bool
	acquires map[acquireKey]vtime.Time
}

type diffKey struct {
	page     Page
	writer   NodeID
	interval uint64
}

type acquireKey struct {
	who     NodeID
	ordinal uint64
}

func newHistory() history { return history{map[diffKey]bool{}, map[acquireKey]vtime.Time{}} }

// see takes in what a live node has logged.
func (h *history) see(n *Node) {
	if n.rec != nil {
		return
	}
	for _, d := range n.diffs.All() {
		h.diffs[diffKey{d.Page, d.Writer, d.Interval}] = true
	}
	for j := range n.rcvd {
		for _, a := range n.rcvd[j] {
			h.acquires[acquireKey{n.cfg.Self, a.Ordinal}] = a.T
		}
	}
}

// relive replaces what a node did after its checkpoint by what it did again.
func (h *history) relive(n *Node) {
	self, t := n.cfg.Self, n.stamp.T[n.cfg.Self]
	for k := range h.diffs {
		if k.writer == self && k.interval > t {
			delete(h.diffs, k)
		}
	}
	for k := range h.acquires {
		if k.who == self && k.ordinal > n.stamp.Ordinal {
			delete(h.acquires, k)
		}
	}
	h.see(n)
}

// audit is asked when all are live: could each node be lost now? It is Lemmas 1
// to 4 and Theorems 1 and 2 in the words of what recovery will ask for.
func (w *world) audit() {
	for _, p := range w.procs {
		w.auditNode(p)
		ckp := stampOf(p)
		for _, q := range w.procs {
			if q != p {
				w.auditPeer(p, q, ckp)
			}
		}
	}
}

// stampOf is the timestamp of the checkpoint that a node restarts from.
func stampOf(p *proc) Stamp {
	if len(p.disk) == 0 {
		return Stamp{T: vtime.New(p.n.cfg.Nodes)}
	}
	return p.disk[len(p.disk)-1].Stamp
}

// auditNode holds a node's versions against each other.
func (w *world) auditNode(p *proc) {
	for i := range p.n.pages {
		pg := &p.n.pages[i]
		if pg.homed && pg.home == p.id && pg.v != nil && !pg.v.LessEq(p.n.v) {
			w.fail("%v: page %d has version %v, V_H is %v", p.id, i, pg.v, p.n.v)
		}
	}
	for _, k := range p.n.window {
		for pg, v := range k.Pages {
			if !v.LessEq(k.V) {
				w.fail("%v: checkpoint %d has page %d of version %v beyond V_H %v (Lemma 4)", p.id, k.Number, pg, v, k.V)
			}
		}
		if k.Number > 0 && !slices.ContainsFunc(p.disk, func(s *saved) bool { return s.Number == k.Number }) {
			w.fail("%v: checkpoint %d is in the window and not on the disk", p.id, k.Number)
		}
	}
}

// auditPeer asks whether q has what p would need after a crash.
func (w *world) auditPeer(p, q *proc, ckp Stamp) {
	n := q.n
	if known := n.peers[p.id].ckp; known.Number > ckp.Number || !known.T.LessEq(ckp.T) {
		w.fail("%v believes %v's checkpoint to be %d %v, it is %d %v", q.id, p.id, known.Number, known.T, ckp.Number, ckp.T)
	}
	for i := ckp.T[q.id] + 1; i <= n.t[q.id]; i++ { // Lemma 2
		if _, whole := n.notices[q.id].Range(i-1, i); !whole {
			w.fail("%v lacks the write notice of its interval %d, beyond %v's checkpoint %v (Lemma 2)", q.id, i, p.id, ckp.T)
		}
	}
	for _, a := range p.n.rcvd[q.id] { // Lemma 3
		at := slices.IndexFunc(n.sent[p.id], func(e logs.Acquire) bool { return e.Ordinal == a.Ordinal })
		if a.Ordinal > ckp.Ordinal && (at < 0 || !n.sent[p.id][at].T.Equal(a.T)) {
			w.fail("%v lacks %v's acquire %+v, beyond its checkpoint at operation %d (Lemma 3)", q.id, p.id, a, ckp.Ordinal)
		}
	}
	for key, t := range w.history.acquires {
		if key.who == p.id && key.ordinal > ckp.Ordinal && !w.logged(p, key.ordinal) {
			w.fail("nobody has %v's acquire of operation %d, to %v (Lemma 3)", p.id, key.ordinal, t)
		}
	}
	w.auditPages(p, q, ckp)
}

func (w *world) logged(p *proc, ordinal uint64) bool {
	return slices.ContainsFunc(w.procs, func(q *proc) bool {
		return q != p && slices.ContainsFunc(q.n.sent[p.id], func(a logs.Acquire) bool { return a.Ordinal == ordinal })
	})
}

// auditPages looks for p0 of each page of home q, and for the diffs beyond it.
func (w *world) auditPages(p, q *proc, ckp Stamp) {
	for i := range q.n.pages {
		pg := Page(i)
		if at := &q.n.pages[i]; !at.homed || at.home != q.id {
			continue
		}
		number, v, ok := q.n.window.Copy(pg, ckp.T, w.cfg.PerPage)
		if !ok || !v.LessEq(ckp.T) {
			w.fail("%v has no copy of page %d for %v's checkpoint %v: %d %v (Theorem 1 or 2)", q.id, pg, p.id, ckp.T, number, v)
			continue
		}
		for key := range w.history.diffs {
			if key.page == pg && key.interval > v[key.writer] && !w.hasDiff(p, key) {
				w.fail("the diff of page %d of %v in interval %d is gone, %v needs it beyond %v (Lemma 1)", pg, key.writer, key.interval, p.id, v)
			}
		}
	}
}

// hasDiff looks in the writer's log; if the writer is lost itself, in its
// checkpoint, for what came before that.
func (w *world) hasDiff(lost *proc, key diffKey) bool {
	q := w.procs[key.writer]
	if q == lost {
		if key.interval > stampOf(q).T[q.id] {
			return true // it is made again
		}
		if len(q.disk) == 0 {
			return false
		}
		return slices.ContainsFunc(q.disk[len(q.disk)-1].Diffs, func(d logs.Diff) bool {
			return d.Page == key.page && d.Interval == key.interval
		})
	}
	list := q.n.diffs.Since(key.page, key.interval-1)
	return len(list) > 0 && list[0].Interval == key.interval
}

// meet counts what recoveries were made of.
func (w *world) meet(p *proc, m *Message) {
	if w.met == nil {
		return
	}
	is := func(what string, met bool) {
		if met {
			w.met[what]++
		}
	}
	switch b := m.Body.(type) {
	case Copy:
		is("p0 of a checkpoint", b.V.Sum() > 0)
		is("p0 of the beginning", b.V.Sum() == 0)
	case PageDiffs:
		is("diffs beyond p0", len(b.Diffs) > 0)
	case RecoverAck:
		is("a request of a lost queue", len(b.Fwds) > 0)
		is("a second incarnation lost", m.ToInc > 2)
	case Recovery:
		is("diffs for a lost home", len(b.Diffs) > 0)
		is("ragged diffs given back", len(b.Ragged) > 0)
		is("a rebuilt acq_sent_log", len(b.Rcvd) > 0)
		is("a bound in place of a cut", slices.ContainsFunc(b.Cuts[m.To], func(c logs.Cut) bool { return c.Bound }))
	case BarrierArrive:
		is("a late arrival", b.Number <= w.procs[m.To].n.bar.number)
	}
}

// meetLoss counts what was lost with a node, and with what it had sent.
func (w *world) meetLoss(p *proc) {
	if w.met == nil {
		return
	}
	told, behind := 0, 0
	for _, q := range w.procs {
		n := q.n
		if q == p || !q.up {
			continue
		}
		if f := n.fault; f != nil && n.pages[f.Page].asked && n.pages[f.Page].homed && n.pages[f.Page].home == p.id {
			w.met["a home lost while its page is waited for"]++
		}
		if n.op != nil && n.op.Kind == Barrier && n.bar.number+1 == p.n.bar.number {
			behind++
		}
		if w.first(p.id, q.id) >= 0 {
			told++
		}
	}
	if p.id == 0 && len(p.n.bar.arrived) > 0 {
		w.met["a root of barriers lost with its arrivals"]++
	}
	if p.id == 0 && behind == len(w.procs)-1 && told == 0 {
		w.met["a barrier whose end is lost with its root"]++
	}
}
