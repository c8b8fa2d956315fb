// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"bytes"
	"maps"
	"slices"

	"lazystate/dsm/logs"
	"lazystate/dsm/vtime"
)

// State is a checkpoint: all that a node restarts from, but for the program's
// private state. Neither acquires nor others' cuts are in it: those come from
// the peers.
type State struct {
	Stamp
	V       vtime.Time
	Pages   []SavedPage
	Held    []SavedLock
	Notices [][]logs.Notice
	Diffs   []logs.Diff
	Last    vtime.Time // after the last barrier
	Bars    logs.Barriers
	Cond    SavedCond
	Peers   []SavedPeer
	Cut     logs.Cut
	Cuts    logs.Cuts // this node's own
	Ragged  []logs.Diff
}

// SavedPage is a page whose home is known or that is needed in some version. It
// has bytes, and a version, if it is homed here and was ever written.
type SavedPage struct {
	Page  Page
	Homed bool
	Home  NodeID
	Need  vtime.Time
	V     vtime.Time
	Bytes []byte
}

// SavedLock is a lock whose token this node has had.
type SavedLock struct {
	Lock       uint32
	Have, Held bool
	Seq        uint64
}

// SavedCond is a registration with a condition variable.
type SavedCond struct {
	Cond           uint32
	Ordinal, Woken uint64
}

// SavedPeer is what was known of a peer's checkpoints.
type SavedPeer struct {
	Ckp   Stamp
	Bound vtime.Interval
}

// Kept is the checkpoint's entry in its home's window.
func (s *State) Kept() logs.Kept {
	k := logs.Kept{Number: s.Number, V: s.V.Clone(), Pages: map[Page]vtime.Time{}}
	for _, p := range s.Pages {
		if p.Bytes != nil {
			k.Pages[p.Page] = p.V.Clone()
		}
	}
	return k
}

// LogBytes is the size of its diff log.
func (s *State) LogBytes() (size uint64) {
	for _, d := range s.Diffs {
		size += uint64(d.Bytes())
	}
	return size
}

// checkpoint ends the interval, so that what the program wrote is in the diff
// log, and gives the state to be saved. The program stands behind an operation.
func (n *Node) checkpoint() {
	if n.rec != nil || n.saving != nil || n.cfg.Unlogged {
		return
	}
	if n.op != nil || n.fault != nil {
		n.refuse("a checkpoint in the midst of an operation or access")
		return
	}
	n.closing(true)
	n.saving, n.taken = n.state(), n.count.LogCreated
	n.do(Save{n.saving})
}

func (n *Node) state() *State {
	s := &State{
		Stamp: Stamp{Number: n.stamp.Number + 1, T: n.t.Clone(), Ordinal: n.ordinal, Barriers: n.bar.number},
		V:     n.v.Clone(), Diffs: slices.Clone(n.diffs.All()), Last: n.bar.last.Clone(), Bars: slices.Clone(n.barriers),
		Cond: SavedCond{n.cond.cond, n.cond.ordinal, n.cond.woken}, Cut: n.lastCut, Cuts: slices.Clone(n.cuts[n.cfg.Self]),
		Ragged: slices.Clone(n.ragged.All()),
	}
	for i := range n.pages {
		if p := n.savedPage(Page(i)); p.Homed || p.Need != nil {
			s.Pages = append(s.Pages, p)
		}
	}
	for l := range n.locks {
		if k := n.locks[l]; k.have || k.seq > 0 {
			s.Held = append(s.Held, SavedLock{uint32(l), k.have, k.held, k.seq})
		}
	}
	for w := range n.notices {
		s.Notices = append(s.Notices, slices.Clone(n.notices[w].All()))
	}
	for i := range n.peers {
		s.Peers = append(s.Peers, SavedPeer{n.peers[i].ckp, n.peers[i].bound})
	}
	return s
}

func (n *Node) savedPage(p Page) SavedPage {
	pg := &n.pages[p]
	s := SavedPage{Page: p, Homed: pg.homed, Home: pg.home, Need: pg.need.Clone(), V: pg.v.Clone()}
	if pg.v != nil { // else it is zeros
		s.Bytes = bytes.Clone(n.mem.Bytes(p))
	}
	return s
}

// saved makes the checkpoint the one to restart from. Not before: what is
// discarded on the word of a stamp is gone.
func (n *Node) saved(number uint32) {
	if n.saving == nil || n.saving.Number != number {
		return
	}
	n.countLogs(n.saving)
	n.safe = n.taken
	n.stamp = n.saving.Stamp
	n.window = append(n.window, n.saving.Kept())
	n.saving = nil
	n.count.Saved++
	n.collect()
	n.count.WindowMost = max(n.count.WindowMost, n.window.Saved())
}

// countLogs counts the diffs of a checkpoint, and those that no other had.
func (n *Node) countLogs(s *State) {
	for _, d := range s.Diffs {
		if d.Interval > n.stamp.T[n.cfg.Self] {
			n.count.LogSaved += uint64(d.Bytes())
		}
	}
	n.count.LogMost = max(n.count.LogMost, s.LogBytes())
}

// notSaved forgets a checkpoint. Its interval has ended all the same.
func (n *Node) notSaved(number uint32) {
	if n.saving != nil && n.saving.Number == number {
		n.saving = nil
	}
}

// tmin is T_min: the least of the others' checkpoint timestamps that are known
// (Theorem 1).
func (n *Node) tmin() vtime.Time {
	t := n.t.Clone()
	for i, j := range n.others() {
		if i == 0 {
			t = n.peers[j].ckp.T.Clone()
		} else {
			t.Meet(n.peers[j].ckp.T)
		}
	}
	return t
}

// collect runs CGC, and LLT with what the homes have told (§4.5). It needs no
// word of anybody, now or later. While a node recovers everything stays: it may
// have a copy by what was kept before, and ask for the diffs beyond it.
func (n *Node) collect() {
	if n.rec != nil || slices.ContainsFunc(n.peers, func(p peer) bool { return p.recovering }) {
		return
	}
	tmin := n.tmin()
	n.collectWindow(tmin)
	n.trimDiffs()
	barriers := n.stamp.Barriers
	for i, j := range n.others() {
		ckp := n.peers[j].ckp
		n.sent[j].Trim(ckp.Ordinal)
		n.rcvd[j].Trim(n.stamp.Ordinal)
		n.cuts[j].Trim(ckp.T[j])
		if i == 0 {
			barriers = ckp.Barriers
		}
		barriers = min(barriers, ckp.Barriers)
	}
	n.barriers.Trim(barriers)
	n.cuts[n.cfg.Self].Trim(n.stamp.T[n.cfg.Self])
	for w := range n.notices {
		n.notices[w].Trim(min(tmin[w], n.t[w])) // others' may be here before they count
	}
	n.ragged.Trim(func(w NodeID) vtime.Interval { return n.peers[w].ckp.T[w] })
}

// collectWindow is CGC.
func (n *Node) collectWindow(tmin vtime.Time) {
	var gone []uint32
	if n.cfg.PerPage {
		var copies []logs.PageCopy
		copies, gone = n.window.CollectPages(tmin)
		n.notePageBounds(tmin)
		for _, c := range copies {
			n.do(DiscardPage(c))
		}
	} else {
		gone = n.window.Collect(tmin)
	}
	for _, number := range gone {
		if number > 0 {
			n.do(Discard{number})
		}
	}
}

// trimDiffs is LLT.
func (n *Node) trimDiffs() {
	for _, p := range n.diffs.Pages() {
		n.count.LogGone += uint64(n.diffs.Trim(p, n.diffBound(p)))
	}
}

// diffBound is up to where a page's home has this node's diffs in every copy
// that it keeps.
func (n *Node) diffBound(p Page) vtime.Interval {
	self, home := n.cfg.Self, n.pages[p].home
	switch {
	case home != self && n.cfg.PerPage:
		return n.peers[home].bounds[p]
	case home != self:
		return n.peers[home].bound
	case !n.cfg.PerPage:
		return n.window.Bound()[self]
	case n.p0[p] != nil:
		return n.p0[p][self]
	}
	return 0
}

// notePageBounds settles p0.v of each homed page that has one (Theorem 1).
func (n *Node) notePageBounds(tmin vtime.Time) {
	for i := range n.pages {
		p := Page(i)
		if n.pages[i].v == nil {
			continue
		}
		b, old := n.window.PageBound(p, tmin), n.p0[p]
		if b.Sum() > 0 && (old == nil || !b.Equal(old)) {
			n.p0[p] = b
			n.p0Turn++
		}
	}
}

// pageBounds are those that a writer has not been told yet.
func (n *Node) pageBounds(writer NodeID) []PageBound {
	peer := &n.peers[writer]
	if peer.toldTurn == n.p0Turn {
		return nil
	}
	peer.toldTurn = n.p0Turn
	var news []PageBound
	for _, p := range slices.Sorted(maps.Keys(n.p0)) {
		if b := n.p0[p][writer]; b > peer.toldPages[p] {
			peer.toldPages[p] = b
			news = append(news, PageBound{p, b})
		}
	}
	return news
}
