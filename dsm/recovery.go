// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"maps"
	"slices"

	"lazystate/dsm/logs"
	"lazystate/dsm/vtime"
)

// recovery is what a node has until it is where its old incarnation was.
type recovery struct {
	acks    map[NodeID]RecoverAck
	replies map[NodeID]Recovery
	ready   bool       // all have answered
	queue   []*Message // for later

	until    uint64 // last operation of the old incarnation that anybody knows of
	proven   uint64 // last one that is known to have ended
	acquires map[uint64]acquired
	barriers logs.Barriers
	cuts     logs.Cuts                      // this node's, not yet made
	received []vtime.Interval               // by home: up to which it has this node's diffs
	ragged   map[vtime.Interval][]logs.Diff // this node's, as the homes have them
	expected map[Page][]logs.Diff           // ragged ones whose writes follow now
	pages    map[Page]*replica
}

// acquired is a grant that the old incarnation got, or would have got.
type acquired struct {
	from NodeID
	logs.Acquire
}

// Restart makes a node of its last checkpoint, nil for none, and of what is left
// of this and older ones, as a new incarnation: inc is above all before. The
// program runs from its private state; its operations and accesses may come at
// once.
func Restart(cfg Config, mem Memory, st *State, window []logs.Kept, inc uint32) (*Node, []Effect) {
	n := blank(cfg, mem, inc)
	n.rec = &recovery{
		acks: map[NodeID]RecoverAck{}, replies: map[NodeID]Recovery{}, acquires: map[uint64]acquired{}, received: make([]vtime.Interval, cfg.Nodes),
		ragged: map[vtime.Interval][]logs.Diff{}, expected: map[Page][]logs.Diff{}, pages: map[Page]*replica{},
	}
	for i := range n.peers {
		n.peers[i].inc = 0 // unknown
	}
	n.placeAll()
	n.window = append(n.window, window...)
	if st != nil {
		if err := st.check(cfg); err != nil {
			n.refuse("checkpoint %d: %w", st.Number, err)
			return n, n.out
		}
		n.restore(st)
	}
	for _, i := range n.others() {
		n.send(i, Recover{n.stamp})
	}
	if cfg.Nodes == 1 {
		n.gathered()
	}
	n.turn()
	return n, n.out
}

// restore takes over a checkpoint.
func (n *Node) restore(st *State) {
	n.stamp = st.Stamp
	n.t, n.v, n.ordinal = st.T.Clone(), st.V.Clone(), st.Ordinal
	n.lastCut, n.cuts[n.cfg.Self] = st.Cut, slices.Clone(st.Cuts)
	n.bar.number, n.bar.last, n.barriers = st.Barriers, st.Last.Clone(), slices.Clone(st.Bars)
	n.cond = condWaiter{st.Cond.Cond, st.Cond.Ordinal, st.Cond.Woken}
	for _, d := range st.Ragged {
		n.ragged.Add(d)
	}
	for _, p := range st.Pages {
		n.restorePage(p)
	}
	for l := range n.locks {
		n.locks[l].have = false
	}
	for _, l := range st.Held {
		k := &n.locks[l.Lock]
		k.have, k.held, k.seq = l.Have, l.Held, l.Seq
	}
	for w, list := range st.Notices {
		for _, notice := range list {
			n.notices[w].Add(notice)
		}
	}
	for _, d := range st.Diffs {
		n.diffs.Add(d)
	}
	for i, p := range st.Peers {
		n.peers[i].ckp, n.peers[i].bound = p.Ckp, p.Bound
	}
}

func (n *Node) restorePage(s SavedPage) {
	n.pages[s.Page] = page{home: s.Home, homed: s.Homed, need: s.Need.Clone(), v: s.V.Clone()}
	if s.Homed && s.Home == n.cfg.Self {
		copy(n.mem.Bytes(s.Page), s.Bytes)
		n.homedReplica(s.Page)
	}
}

// onRecoverAck asks for the logs once everybody has dropped the old incarnation.
func (n *Node) onRecoverAck(from NodeID, b RecoverAck) {
	if n.rec == nil || n.rec.ready {
		return
	}
	n.rec.acks[from] = b
	if len(n.rec.acks) == n.cfg.Nodes-1 {
		for _, i := range n.others() {
			n.send(i, Gather{})
		}
	}
}

// onRecovery takes a reply. When the last is there the program may go on.
func (n *Node) onRecovery(from NodeID, b Recovery) {
	if n.rec == nil || n.rec.ready {
		return
	}
	n.rec.replies[from] = b
	if len(n.rec.replies) == n.cfg.Nodes-1 {
		n.gathered()
	}
}

// gathered makes the old incarnation's history of the replies.
func (n *Node) gathered() {
	r := n.rec
	for _, i := range slices.Sorted(maps.Keys(r.replies)) {
		n.gather(i, r.replies[i])
	}
	r.barriers = slices.DeleteFunc(r.barriers, n.later)
	r.until = max(r.until, n.ordinal)
	r.proven = max(r.proven, r.until-min(r.until, 1))
	r.ready = true
	n.replayCuts(true)
	if n.caughtUp() {
		n.finish()
	}
	switch {
	case n.op != nil && n.rec != nil:
		n.replay()
		return
	case n.op != nil:
		n.ordinal++
		n.live(*n.op)
	case n.fault != nil:
		n.serveFault()
	}
	if n.rec == nil {
		n.drain(r)
	}
}

// later is true for a barrier that ended when some had sent their logs already:
// this node was not through it before.
func (n *Node) later(e logs.Barrier) bool {
	for i, b := range n.rec.replies {
		if e.T[i] > b.T[i] {
			return true
		}
	}
	return false
}

// gather takes what one peer has.
func (n *Node) gather(i NodeID, b Recovery) {
	r, self := n.rec, n.cfg.Self
	n.peers[i].floor = floor{b.Ordinal, b.Waits != nil}
	n.conds.woken[i] = b.Woken
	n.cond.woken = max(n.cond.woken, b.WokeYou)
	r.received[i] = b.Received
	r.until = max(r.until, b.Seen)
	for _, a := range b.Sent {
		r.acquires[a.Ordinal] = acquired{i, a}
		r.until = max(r.until, a.Ordinal)
	}
	for _, a := range b.Rcvd {
		n.sent[i].Add(a)
	}
	for _, e := range b.Barriers {
		r.barriers.Add(e)
	}
	for w, cuts := range b.Cuts {
		for _, c := range cuts {
			n.cuts[w].Add(c)
		}
	}
	for _, c := range b.Cuts[self] {
		r.cuts.Add(c)
		r.until = max(r.until, c.Ordinal)
		if c.After {
			r.proven = max(r.proven, c.Ordinal)
		}
	}
	for _, notice := range b.Notices {
		n.record(i, notice)
	}
	for _, h := range b.Homes {
		n.setHome(h.Page, h.Home)
	}
	for _, d := range b.Diffs {
		if n.asHome(d.Page) {
			rep := n.homedReplica(d.Page)
			rep.pending = append(rep.pending, d)
		}
	}
	n.keepRagged(b.Diffs)
	for _, d := range b.Ragged {
		r.ragged[d.Interval] = append(r.ragged[d.Interval], d)
	}
}

// drain hears what came during the recovery.
func (n *Node) drain(r *recovery) {
	for _, m := range r.queue {
		if n.failed != nil {
			return
		}
		m.Body.handle(n, m.From)
		n.turn()
	}
}

// down is told of a node that is dead. One is enough at a time.
func (n *Node) down(i NodeID) {
	if n.rec != nil && i != n.cfg.Self {
		n.refuse("two nodes have failed at once: %v recovers and %v is down", n.cfg.Self, i)
	}
}
