// SPDX-License-Identifier: Apache-2.0

package dsm

import "slices"

// condWaiter is the program's registration with a condition variable.
type condWaiter struct {
	cond    uint32
	ordinal uint64 // of the operation that registered; 0: none
	woken   uint64 // ordinal of the last registration that was woken
}

// condManager is what a manager of condition variables keeps. A signal is
// answered when those it woke have said so: else it would be lost with a manager
// that dies in between.
type condManager struct {
	waiters  [][]Registration // by condition variable, in order
	woken    []uint64         // by node: the last registration that was woken; a signaller knows it too
	signaled []uint64         // by node: the last signal that was answered
	pending  []condSignal
}

// condSignal is one whose sleepers have not all answered.
type condSignal struct {
	from    NodeID
	cond    uint32
	ordinal uint64
	woke    []Registration
	wakes   []Registration // of them, those that have not answered
}

func newCondManager(cfg Config) condManager {
	return condManager{waiters: make([][]Registration, cfg.Conds), woken: make([]uint64, cfg.Nodes), signaled: make([]uint64, cfg.Nodes)}
}

// sleep ends at once if the signal was quicker.
func (n *Node) sleep() {
	if n.cond.ordinal == 0 || n.cond.cond != n.op.ID {
		n.refuse("sleep on condition variable %d without having entered it", n.op.ID)
		return
	}
	if n.cond.woken >= n.cond.ordinal {
		n.cond.ordinal = 0
		n.done()
	}
}

func (n *Node) onCondReg(from NodeID, b CondReg) {
	c, r := &n.conds, Registration{from, b.Ordinal}
	n.send(from, CondRegAck{b.Ordinal})
	switch {
	case c.woken[from] >= b.Ordinal: // it was woken, and crashed before it knew
		n.send(from, CondWake(b))
	case !slices.Contains(c.waiters[b.Cond], r):
		c.waiters[b.Cond] = append(c.waiters[b.Cond], r)
	}
}

func (n *Node) onCondRegAck(b CondRegAck) {
	if n.op == nil || n.op.Kind != CondEnter || b.Ordinal != n.ordinal {
		return
	}
	n.cond.cond, n.cond.ordinal = n.op.ID, n.ordinal
	n.done()
}

func (n *Node) onCondSignal(from NodeID, b CondSignal) {
	c := &n.conds
	asked := func(s condSignal) bool { return s.from == from && s.ordinal == b.Ordinal }
	if slices.ContainsFunc(c.pending, asked) {
		return
	}
	waiters := c.waiters[b.Cond]
	if b.Ordinal <= c.signaled[from] || len(waiters) == 0 {
		n.answerSignal(from, b.Ordinal, nil)
		return
	}
	if !b.All {
		waiters = waiters[:1]
	}
	s := condSignal{from, b.Cond, b.Ordinal, slices.Clone(waiters), slices.Clone(waiters)}
	c.waiters[b.Cond] = slices.Clone(c.waiters[b.Cond][len(waiters):])
	c.pending = append(c.pending, s)
	for _, w := range s.wakes {
		c.woken[w.Node] = w.Ordinal
		n.send(w.Node, CondWake{b.Cond, w.Ordinal})
	}
}

func (n *Node) answerSignal(to NodeID, ordinal uint64, woke []Registration) {
	n.conds.signaled[to] = max(n.conds.signaled[to], ordinal)
	n.send(to, CondSignalAck{ordinal, woke})
}

func (n *Node) onCondWake(from NodeID, b CondWake) {
	n.cond.woken = max(n.cond.woken, b.Ordinal)
	n.send(from, CondWakeAck(b))
	if n.doing(CondSleep, b.Cond) && n.cond.ordinal == b.Ordinal {
		n.sleep()
	}
}

func (n *Node) onCondWakeAck(from NodeID, b CondWakeAck) {
	c := &n.conds
	for i := range c.pending {
		s := &c.pending[i]
		s.wakes = slices.DeleteFunc(s.wakes, func(r Registration) bool { return r == Registration{from, b.Ordinal} })
	}
	var rest []condSignal
	for _, s := range c.pending {
		if len(s.wakes) == 0 {
			n.answerSignal(s.from, s.ordinal, s.woke)
		} else {
			rest = append(rest, s)
		}
	}
	c.pending = rest
}

func (n *Node) onCondSignalAck(b CondSignalAck) {
	for _, w := range b.Woken {
		n.conds.woken[w.Node] = max(n.conds.woken[w.Node], w.Ordinal)
	}
	if n.op != nil && (n.op.Kind == Signal || n.op.Kind == Broadcast) && b.Ordinal == n.ordinal {
		n.done()
	}
}
