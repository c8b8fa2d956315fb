// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"lazystate/dsm/logs"
	"lazystate/dsm/vtime"
)

// lock is a node's view of one lock. Its token is at one node or on its way.
type lock struct {
	have   bool
	held   bool      // by the program
	told   bool      // the driver: that the token is here
	seq    uint64    // of the last passing of the token that this node took part in
	gaveTo NodeID    // then, if it does not have it
	next   []request // who come after this node; more than one only after a recovery

	// Of the manager: who asked last, how many have, and of each node its last
	// request and whom that was sent to.
	tail  NodeID
	count uint64
	asked []asked
}

// request is a process that waits for the token.
type request struct {
	node    NodeID
	ordinal uint64
	t       vtime.Time
}

type asked struct {
	request
	of   NodeID
	turn uint64
}

// ask notes a request as the last.
func (l *lock) ask(r request, of NodeID) {
	l.count++
	l.tail, l.asked[r.node] = r.node, asked{r, of, l.count}
}

// floor is what a node that was recovered knows of requests that its old
// incarnation may have served: those up to an operation are, but for one.
type floor struct {
	ordinal uint64
	waits   bool // for the operation ordinal
}

func newLock(cfg Config, manager NodeID) lock {
	l := lock{have: manager == cfg.Self, tail: manager}
	if manager == cfg.Self {
		l.asked = make([]asked, cfg.Nodes)
	}
	return l
}

// acquire takes the token if it is here, else asks for it.
func (n *Node) acquire(id uint32) {
	l := &n.locks[id]
	switch {
	case l.held:
		n.refuse("acquire lock %d, which the program holds", id)
	case l.have:
		l.held = true
		n.tellToken(id)
		n.done()
	default:
		n.send(n.manager(id), LockReq{id, n.ordinal, n.t.Clone()})
	}
}

// release lets the token go if somebody waits for it. The interval does not end
// otherwise.
func (n *Node) release(id uint32) {
	if !n.locks[id].held {
		n.refuse("release lock %d, which the program does not hold", id)
		return
	}
	n.locks[id].held = false
	n.passOn(id)
	n.done()
}

// alone has done what acquire and release do with a token that is here and that
// nobody waits for. It makes nothing that a collector has to look at: a program takes
// its own locks a million times a second.
func (n *Node) alone(ops []Op) {
	if n.op != nil || n.fault != nil || n.rec != nil {
		n.refuse("%d operations were done without a word, in the midst of another or of a recovery", len(ops))
		return
	}
	for _, op := range ops {
		takes := op.Kind == Acquire
		switch {
		case !takes && op.Kind != Release || int(op.ID) >= len(n.locks) || !n.locks[op.ID].told:
			n.refuse("%v was done without a word, and may not be", op)
			return
		case takes && n.locks[op.ID].held:
			n.refuse("acquire lock %d, which the program holds", op.ID)
			return
		case !takes && !n.locks[op.ID].held:
			n.refuse("release lock %d, which the program does not hold", op.ID)
			return
		}
		n.locks[op.ID].held = takes
		n.ordinal++
	}
}

// onLockReq puts a request at the end of the lock's queue, which lives in the
// nodes' next: each knows who comes after it.
func (n *Node) onLockReq(from NodeID, b LockReq) {
	l := &n.locks[b.Lock]
	if l.asked == nil {
		n.ignore(from, "asks for lock %d, which %v manages", b.Lock, n.manager(b.Lock))
		return
	}
	if b.Ordinal <= l.asked[from].ordinal {
		return // it asked before it crashed
	}
	n.sawTime(from, b.T, b.Ordinal)
	last := l.tail
	l.ask(request{from, b.Ordinal, b.T}, last)
	n.send(last, LockFwd{b.Lock, from, b.Ordinal, b.T})
}

// sawTime notes that a requester's intervals had ended by its operation. Who is
// told its time by a grant must not know of intervals that its replay does not.
func (n *Node) sawTime(i NodeID, t vtime.Time, ordinal uint64) {
	if t[i] > n.peers[i].ckp.T[i] {
		n.logCut(i, logs.Cut{Interval: t[i], Ordinal: ordinal, Bound: true})
	}
}

func (n *Node) onLockFwd(b LockFwd) {
	if f := n.peers[b.To].floor; b.Ordinal < f.ordinal || b.Ordinal == f.ordinal && !f.waits {
		return // it has had it, from this node's old incarnation
	}
	n.sawTime(b.To, b.T, b.Ordinal)
	l := &n.locks[b.Lock]
	l.next = append(l.next, request{b.To, b.Ordinal, b.T})
	n.tellToken(b.Lock)
	n.passOn(b.Lock)
}

// tellToken tells the driver if the program may have a lock without a word, or
// not any more.
func (n *Node) tellToken(id uint32) {
	l := &n.locks[id]
	if here := l.have && len(l.next) == 0; here != l.told {
		l.told = here
		n.do(Token{id, here})
	}
}

// passOn gives the token to who is next, if it is free. What the program wrote
// before is in the intervals that the token's time covers.
func (n *Node) passOn(id uint32) {
	l := &n.locks[id]
	if !l.have || l.held || len(l.next) == 0 || n.peers[n.manager(id)].recovering || n.peers[l.next[0].node].silent {
		return
	}
	to := l.next[0]
	l.next = l.next[1:]
	n.closing(false)
	l.have, l.gaveTo = false, to.node
	l.seq++
	t := to.t.Clone()
	t.Join(n.t)
	a := logs.Acquire{Ordinal: to.ordinal, Lock: id, Seq: l.seq, T: t}
	n.logAcquire(n.sent, to.node, a)
	n.count.Granted++
	n.send(to.node, LockGrant{a, n.noticesFor(to.t, n.t)})
	n.tellToken(id)
}

// passOnAll lets tokens go that a recovery held up.
func (n *Node) passOnAll() {
	for l := range n.locks {
		n.passOn(uint32(l))
	}
}

func (n *Node) onLockGrant(from NodeID, b LockGrant) {
	a := b.Acquire
	if !n.doing(Acquire, a.Lock) || a.Ordinal != n.ordinal {
		n.ignore(from, "grants lock %d for operation %d, which does not ask for it", a.Lock, a.Ordinal)
		return
	}
	n.recordAll(b.Notices)
	n.take(from, a)
	n.done()
}

// logAcquire keeps a grant in acq_sent_log or acq_rcvd_log.
func (n *Node) logAcquire(of []logs.Acquires, with NodeID, a logs.Acquire) {
	if !n.cfg.Unlogged {
		of[with].Add(a)
	}
}

// take makes the token this node's.
func (n *Node) take(from NodeID, a logs.Acquire) {
	n.advance(a.T)
	n.logAcquire(n.rcvd, from, a)
	l := &n.locks[a.Lock]
	l.have, l.held, l.seq = true, true, a.Seq
	n.tellToken(a.Lock)
}
