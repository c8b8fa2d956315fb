// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"bytes"

	"lazystate/dsm/diff"
	"lazystate/dsm/logs"
	"lazystate/dsm/vtime"
)

// pageWait is another node's request that this home cannot serve yet.
type pageWait struct {
	from NodeID
	req  PageReq
}

func (n *Node) beginFault(f Fault) {
	if n.op != nil || n.fault != nil {
		n.refuse("an access to page %d in the midst of an operation or another access", f.Page)
		return
	}
	if int(f.Page) >= n.cfg.Pages {
		n.refuse("an access to page %d of %d", f.Page, n.cfg.Pages)
		return
	}
	n.fault = &f
	misses := n.pages[f.Page].access == None
	if misses {
		n.count.Misses++
	} else {
		n.count.Upgrades++
	}
	n.serveFault()
	if misses && n.rec == nil && n.cfg.Ahead > 0 {
		n.fetchAhead(f.Page)
	}
}

// serveFault does what the access waits for next, until the program may go on.
func (n *Node) serveFault() {
	f := n.fault
	if n.obtain(f.Page, f.Write) {
		n.fault = nil
		n.do(Resume{f.Page})
	}
}

// obtain does what an access to a page takes next, and is true if that was all.
func (n *Node) obtain(p Page, write bool) bool {
	pg := &n.pages[p]
	switch {
	case n.rec != nil && !n.rec.ready:
		return false
	case !pg.homed && n.rec == nil:
		n.ask(p, n.directory(p), HomeReq{p, n.cfg.Self})
		return false
	case pg.access == None && n.rec != nil:
		if !n.rebuild(p) {
			return false
		}
	case pg.access == None && pg.home == n.cfg.Self:
		if !covers(n.v, pg.need) {
			return false // the diffs are on their way; onDiffs comes back here
		}
	case pg.access == None:
		n.fetch(p)
		return false
	}
	n.grantAccess(p, write)
	return true
}

// ask asks about a page, unless that has been done.
func (n *Node) ask(p Page, of NodeID, b Body) {
	if pg := &n.pages[p]; !pg.asked {
		pg.asked = true
		n.send(of, b)
	}
}

// prefetch begins to fetch pages that the program will access, all at once. In its
// past a node has other ways.
func (n *Node) prefetch(in Prefetch) {
	for _, p := range in.Pages {
		if int(p) >= n.cfg.Pages {
			n.refuse("page %d of %d is asked for in advance", p, n.cfg.Pages)
			return
		}
		if pg := &n.pages[p]; n.rec == nil && pg.access < in.For {
			pg.ahead = in.For
			n.obtain(p, in.For == Write)
		}
	}
}

// answered goes on with a page that something was heard of.
func (n *Node) answered(p Page) {
	pg := &n.pages[p]
	pg.asked = false
	switch {
	case n.fault != nil && n.fault.Page == p:
		n.serveFault()
	case pg.ahead != None:
		n.obtain(p, pg.ahead == Write)
	}
}

// grantAccess lets the program at a page that is whole. The first write of an
// interval leaves a twin.
func (n *Node) grantAccess(p Page, write bool) {
	pg := &n.pages[p]
	access := Read
	if (write || n.scn != nil) && pg.twin == nil && !n.untwinned(p) {
		pg.twin = bytes.Clone(n.mem.Bytes(p))
		n.expect(p)
	}
	if pg.twin != nil || n.untwinned(p) && (write || n.scn != nil) {
		access = Write
		n.dirty[p] = n.dirty[p] || write || n.scn == nil
	}
	pg.access, pg.ahead = access, None
	n.mem.Protect(p, access)
}

// covers is true if version v is not before need; nil is the beginning.
func covers(v, need vtime.Time) bool { return need == nil || need.LessEq(v) }

func (n *Node) needs(pg *page) vtime.Time {
	if pg.need == nil {
		return vtime.New(n.cfg.Nodes)
	}
	return pg.need.Clone()
}

// setNeed notes that accesses need the writer's intervals up to i.
func (n *Node) setNeed(p Page, writer NodeID, i vtime.Interval) {
	pg := &n.pages[p]
	if pg.need == nil {
		pg.need = vtime.New(n.cfg.Nodes)
	}
	pg.need[writer] = max(pg.need[writer], i)
}

// invalidate takes a page from the program because another has written it. What
// the program wrote in this interval is kept.
func (n *Node) invalidate(p Page) {
	pg := &n.pages[p]
	if n.homedHere(p) && n.rec == nil && covers(n.v, pg.need) {
		return // the diffs are in it already
	}
	if pg.access == None {
		return
	}
	pg.access = None
	n.mem.Protect(p, None)
	if n.rec == nil && pg.home != n.cfg.Self {
		n.stashWrites(p)
	}
}

// stashWrites sets aside what a dirty page has and its home has not.
func (n *Node) stashWrites(p Page) {
	if pg := &n.pages[p]; pg.twin != nil {
		pg.stash, pg.twin = diff.Make(pg.twin, n.mem.Bytes(p)), nil
		n.dirty[p] = pg.stash != nil
	}
}

func (n *Node) onPageReq(from NodeID, b PageReq) {
	if !n.asHome(b.Page) {
		n.ignore(from, "asks for page %d, whose home is %v", b.Page, n.pages[b.Page].home)
		return
	}
	if !covers(n.v, b.Need) {
		n.waiting = append(n.waiting, pageWait{from, b})
		return
	}
	n.send(from, PageRep{b.Page, n.v.Clone(), bytes.Clone(n.contents(b.Page))})
	n.shelveFrom(b.Page)
}

// asHome is true if this node is the page's home, as another one takes it to be:
// that has it from the directory, whose word to this node may still be under way.
func (n *Node) asHome(p Page) bool {
	if !n.pages[p].homed {
		n.setHome(p, n.cfg.Self)
	}
	return n.pages[p].home == n.cfg.Self
}

func (n *Node) onPageRep(b PageRep) {
	pg := &n.pages[b.Page]
	if !pg.asked || pg.access != None || pg.home == n.cfg.Self {
		return // asked twice, around a crash of the home
	}
	pg.asked = false
	if !covers(b.V, pg.need) { // an interval ended meanwhile that has this program's writes
		n.answered(b.Page)
		return
	}
	copy(n.mem.Bytes(b.Page), b.Bytes)
	if pg.stash != nil || n.scn != nil {
		pg.twin = b.Bytes // it is this node's now
	}
	if pg.stash != nil {
		pg.stash.Apply(n.mem.Bytes(b.Page))
		pg.stash = nil
	}
	pg.access = Read
	if n.fault != nil && n.fault.Page == b.Page {
		n.serveFault()
	} else {
		n.grantAccess(b.Page, pg.ahead == Write)
	}
}

// onDiffs applies an interval's diffs to homed pages.
func (n *Node) onDiffs(from NodeID, b Diffs) {
	n.logCut(from, b.Cut)
	for _, d := range b.Diffs {
		if !n.asHome(d.Page) {
			n.ignore(from, "diffs page %d, whose home is %v", d.Page, n.pages[d.Page].home)
			return
		}
	}
	n.applyDiffs(b.Diffs)
	n.outdated(pagesOf(b.Diffs)) // before raiseV lays some out
	n.keepRagged(b.Diffs)
	n.raiseV(from, b.Cut.Interval)
}

func pagesOf(diffs []logs.Diff) []Page {
	pages := make([]Page, len(diffs))
	for i, d := range diffs {
		pages[i] = d.Page
	}
	return pages
}

// applyDiffs brings into homed pages the diffs that they lack.
func (n *Node) applyDiffs(diffs []logs.Diff) {
	for _, d := range diffs {
		v := n.version(d.Page)
		if d.Interval <= v[d.Writer] {
			continue
		}
		n.apply(d)
		n.lookForRace(d)
		v[d.Writer] = d.Interval
	}
}

// apply brings a diff into a page, and into its twin: it is not this node's write
// of this interval.
func (n *Node) apply(d logs.Diff) {
	d.Apply(n.mem.Bytes(d.Page))
	if twin := n.pages[d.Page].twin; twin != nil {
		d.Apply(twin)
	}
}

// version is p.v of a homed page that is written.
func (n *Node) version(p Page) vtime.Time {
	pg := &n.pages[p]
	if pg.v == nil {
		pg.v = vtime.New(n.cfg.Nodes)
	}
	return pg.v
}

// keepRagged keeps what its writer could not make again (see the package).
func (n *Node) keepRagged(diffs []logs.Diff) {
	for _, d := range diffs {
		if d.Ragged && !n.cfg.Unlogged && d.Interval > n.peers[d.Writer].ckp.T[d.Writer] {
			n.ragged.Add(d)
		}
	}
}

// raiseV notes that all of a writer's diffs up to i are in, and serves who
// waited for that.
func (n *Node) raiseV(writer NodeID, i vtime.Interval) {
	n.v[writer] = max(n.v[writer], i)
	if n.rec != nil {
		return
	}
	wait := n.waiting
	n.waiting = nil
	for _, w := range wait {
		n.onPageReq(w.from, w.req)
	}
	if f := n.fault; f != nil && n.homedHere(f.Page) {
		n.serveFault()
	}
}
