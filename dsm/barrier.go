// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"lazystate/dsm/logs"
	"lazystate/dsm/vtime"
)

// barrier is this node's place in the tree of barriers.
type barrier struct {
	number  uint64     // barriers that are over
	last    vtime.Time // everybody's time after the last of them, at least
	arrived map[NodeID]BarrierArrive
	wants   bool // checkpoints, at the next one
}

// arrive ends the interval and waits for all others.
func (n *Node) arrive() {
	n.closing(false)
	n.arriveUp()
}

// arriveUp tells the parent when all below are there. The root ends the barrier.
func (n *Node) arriveUp() {
	if n.op == nil || n.op.Kind != Barrier {
		return
	}
	all := BarrierArrive{Number: n.bar.number + 1, ID: n.op.ID, Low: n.t.Clone(), High: n.t.Clone(), Wants: n.bar.wants}
	for _, c := range n.children() {
		a, ok := n.bar.arrived[c]
		if !ok {
			return
		}
		if a.Number > all.Number {
			continue // it has passed this one by the logs; the answer is on its way here
		}
		if a.ID != all.ID {
			n.refuse("barrier %d here is barrier %d at %v", all.ID, a.ID, c)
			return
		}
		all.Low.Meet(a.Low)
		all.High.Join(a.High)
		all.Wants = all.Wants || a.Wants
	}
	if n.cfg.Self == 0 {
		n.endBarrier(logs.Barrier{Number: all.Number, ID: all.ID, T: all.High}, all.Wants)
		return
	}
	known := n.bar.last.Clone() // what everybody knows
	known.Join(n.tmin())
	all.Notices = n.noticesFor(known, all.High)
	n.send(n.parent(), all)
}

// onArrive takes note of a child. One that comes late was told by an incarnation
// that is gone.
func (n *Node) onArrive(from NodeID, b BarrierArrive) {
	if b.Number <= n.bar.number {
		if e, ok := n.barriers.Find(b.Number); ok {
			n.send(from, n.releaseOf(e, b.Low, false))
			return
		}
		n.ignore(from, "arrives at barrier %d, which is long over", b.Number)
		return
	}
	n.recordAll(b.Notices)
	n.bar.arrived[from] = b
	n.arriveUp()
}

func (n *Node) releaseOf(e logs.Barrier, low vtime.Time, due bool) BarrierRelease {
	return BarrierRelease{e, due, n.noticesFor(low, e.T)}
}

func (n *Node) onRelease(b BarrierRelease) {
	if n.op == nil || n.op.Kind != Barrier || b.Barrier.Number != n.bar.number+1 {
		return // told twice, around a crash
	}
	n.recordAll(b.Notices)
	n.endBarrier(b.Barrier, b.Due)
}

// endBarrier makes everybody's time one, from here down the tree.
func (n *Node) endBarrier(e logs.Barrier, due bool) {
	arrived := n.bar.arrived
	n.passBarrier(e)
	n.bar.wants = false
	for _, c := range n.children() {
		if a, ok := arrived[c]; ok && a.Number == e.Number {
			n.send(c, n.releaseOf(e, a.Low, due))
		}
	}
	if due {
		n.do(Due{})
	}
	n.done()
}

// passBarrier is the part that a replay does too.
func (n *Node) passBarrier(e logs.Barrier) {
	arrived := n.bar.arrived
	n.advance(e.T)
	if !n.cfg.Unlogged {
		n.barriers.Add(e)
	}
	n.bar.number = e.Number
	n.bar.last = e.T.Clone()
	n.bar.arrived = map[NodeID]BarrierArrive{}
	for c, a := range arrived {
		if a.Number > e.Number {
			n.bar.arrived[c] = a
		}
	}
}
