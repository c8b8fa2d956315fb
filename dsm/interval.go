// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"maps"
	"slices"

	"lazystate/dsm/diff"
	"lazystate/dsm/logs"
	"lazystate/dsm/vtime"
)

// closing ends the interval, if there is something in it: diffs go to the log
// and to the homes, a notice into wn_log. While an operation is under way the
// program stands before it; else it runs, unless it waits for a checkpoint.
func (n *Node) closing(stands bool) {
	cut := logs.Cut{Interval: n.t[n.cfg.Self] + 1, Ordinal: n.ordinal, After: n.op == nil, Ragged: n.op == nil && !stands}
	diffs := n.closeQuietly(cut)
	for _, home := range n.others() {
		var mine []logs.Diff
		for _, d := range diffs {
			if n.pages[d.Page].home == home {
				mine = append(mine, d)
			}
		}
		if len(mine) > 0 {
			n.send(home, Diffs{cut, mine})
		}
	}
}

// closeQuietly is closing without a word to the homes. It returns the diffs.
func (n *Node) closeQuietly(cut logs.Cut) []logs.Diff {
	diffs := n.takeDiffs(cut, func(Page) bool { return true })
	// A replay ends a ragged interval earlier; what it leaves must have an end of
	// its own before an operation behind it is seen by others.
	if len(diffs) > 0 || n.lastCut.Ragged && n.lastCut.Ordinal < n.ordinal {
		n.publish(cut, diffs)
	}
	return diffs
}

// takeDiffs makes clean all pages that were written, and returns the diffs of
// those that want wants.
func (n *Node) takeDiffs(cut logs.Cut, want func(Page) bool) []logs.Diff {
	t := n.t.Clone()
	t[n.cfg.Self] = cut.Interval
	if n.scn != nil {
		for _, p := range n.scn.Written() {
			n.dirty[p] = n.dirty[p] || n.pages[p].twin != nil || n.untwinned(p)
		}
	}
	var diffs []logs.Diff
	pages := slices.Sorted(maps.Keys(n.dirty))
	clear(n.dirty)
	for _, p := range pages {
		if d := n.takeDiff(p); (len(d) > 0 || n.untwinned(p)) && want(p) {
			diffs = append(diffs, logs.Diff{Page: p, Writer: n.cfg.Self, Interval: cut.Interval, T: t, Ragged: cut.Ragged, Diff: d})
		}
	}
	return diffs
}

// takeDiff makes one page clean.
func (n *Node) takeDiff(p Page) diff.Diff {
	pg := &n.pages[p]
	d := pg.stash
	pg.stash = nil
	switch {
	case pg.twin == nil && n.scn == nil && pg.access == Write: // it is untwinned
		pg.access = Read
		n.mem.Protect(p, Read)
	case pg.twin == nil:
	case n.scn != nil: // the program may write on: the next twin is what the diff has seen
		copy(n.scratch, n.mem.Bytes(p))
		d = diff.Make(pg.twin, n.scratch)
		d.Apply(pg.twin) // memory that was never used before may cost more than all the rest
	default:
		if pg.access == Write {
			pg.access = Read
			n.mem.Protect(p, Read) // first: the program may be running
		}
		d, pg.twin = diff.Make(pg.twin, n.mem.Bytes(p)), nil
	}
	return d
}

// publish begins the next interval: the last one's writes have a name now.
func (n *Node) publish(cut logs.Cut, diffs []logs.Diff) {
	self := n.cfg.Self
	n.t[self] = cut.Interval
	n.lastCut = cut
	n.count.Intervals++
	notice := logs.Notice{Cut: cut}
	for _, d := range diffs {
		n.logDiff(d)
		n.setNeed(d.Page, self, cut.Interval)
		notice.Pages = append(notice.Pages, d.Page)
		if n.pages[d.Page].home == self {
			n.version(d.Page)[self] = cut.Interval
			n.v[self] = cut.Interval
			n.lookForRace(d)
		}
	}
	slices.Sort(notice.Pages)
	n.record(self, notice)
	n.outdated(notice.Pages)
}

// logDiff keeps a diff for a home that restarts.
func (n *Node) logDiff(d logs.Diff) {
	if !n.cfg.Unlogged {
		n.diffs.Add(d)
		n.count.LogCreated += uint64(d.Bytes())
	}
}

// logCut keeps where an interval ended, for its writer's replay.
func (n *Node) logCut(writer NodeID, c logs.Cut) {
	if !n.cfg.Unlogged {
		n.cuts[writer].Add(c)
	}
}

// record notes a write notice and where its interval ended. It has no effect on
// pages until the time advances over it.
func (n *Node) record(writer NodeID, notice logs.Notice) {
	n.notices[writer].Add(notice)
	n.logCut(writer, notice.Cut)
}

func (n *Node) recordAll(list []WriterNotice) {
	for _, w := range list {
		n.record(w.Writer, w.Notice)
	}
}

// noticesFor returns the write notices of all writers in (after, upto].
func (n *Node) noticesFor(after, upto vtime.Time) []WriterNotice {
	var list []WriterNotice
	for w := range n.notices {
		r, whole := n.notices[w].Range(after[w], upto[w])
		if !whole {
			n.refuse("write notices of %v in (%d, %d] are asked for and not kept", NodeID(w), after[w], upto[w])
		}
		for _, notice := range r {
			list = append(list, WriterNotice{NodeID(w), notice})
		}
	}
	return list
}

// advance is what an acquire does (§4.3.2): the time becomes max(T_i, T_j), and
// pages that others have written by then are invalid.
func (n *Node) advance(to vtime.Time) {
	for w := range n.notices {
		if NodeID(w) == n.cfg.Self {
			if to[w] > n.t[w] { // else the time would run back, past the greatest number
				n.refuse("interval %d of this node is said to be over, and it is in interval %d", to[w], n.t[w]+1)
				return
			}
			continue
		}
		r, whole := n.notices[w].Range(n.t[w], to[w])
		if !whole {
			n.refuse("write notices of %v in (%d, %d] are missing: there are %v", NodeID(w), n.t[w], to[w], n.notices[w].All())
			return
		}
		for _, notice := range r {
			for _, p := range notice.Pages {
				n.setNeed(p, NodeID(w), notice.Interval)
				n.invalidate(p)
			}
		}
	}
	n.t.Join(to)
}
