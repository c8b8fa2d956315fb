// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"fmt"

	"lazystate/dsm/logs"
	"lazystate/dsm/vtime"
)

// checker notes the first thing that is wrong with a message of another node:
// numbers out of range, vectors of another length, bytes that do not fit.
type checker struct {
	cfg Config
	err error
}

func (c *checker) is(ok bool, format string, args ...any) {
	if !ok && c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

func (c *checker) page(p Page)    { c.is(int(p) < c.cfg.Pages, "page %d of %d", p, c.cfg.Pages) }
func (c *checker) node(i NodeID)  { c.is(int(i) < c.cfg.Nodes, "node %v of %d", i, c.cfg.Nodes) }
func (c *checker) lock(id uint32) { c.is(int(id) < c.cfg.Locks, "lock %d of %d", id, c.cfg.Locks) }
func (c *checker) cond(id uint32) { c.is(int(id) < c.cfg.Conds, "condition %d of %d", id, c.cfg.Conds) }

func (c *checker) time(t vtime.Time) {
	c.is(len(t) == c.cfg.Nodes, "a time of %d nodes, not %d", len(t), c.cfg.Nodes)
}

func (c *checker) bytes(b []byte) {
	c.is(len(b) == c.cfg.PageSize, "a page of %d bytes, not %d", len(b), c.cfg.PageSize)
}

func (c *checker) diffs(list []logs.Diff) {
	for _, d := range list {
		c.page(d.Page)
		c.node(d.Writer)
		c.time(d.T)
		c.is(d.Fits(c.cfg.PageSize), "a diff outside page %d", d.Page)
	}
}

// diffsOf are all of one writer.
func (c *checker) diffsOf(w NodeID, list []logs.Diff) {
	c.diffs(list)
	for _, d := range list {
		c.is(d.Writer == w, "a diff of %v, not %v", d.Writer, w)
	}
}

func (c *checker) notice(n logs.Notice) {
	for _, p := range n.Pages {
		c.page(p)
	}
}

func (c *checker) notices(list []WriterNotice) {
	for _, w := range list {
		c.node(w.Writer)
		c.notice(w.Notice)
	}
}

func (c *checker) acquires(list logs.Acquires) {
	for _, a := range list {
		c.lock(a.Lock)
		c.time(a.T)
	}
}

func (c *checker) fwds(list ...LockFwd) {
	for _, f := range list {
		c.lock(f.Lock)
		c.node(f.To)
		c.time(f.T)
	}
}

// check is nil for a message that can be handled without harm to this node.
func (n *Node) check(from NodeID, b Body) error {
	c := &checker{cfg: n.cfg}
	switch b := b.(type) {
	case HomeReq:
		c.page(b.Page)
		c.node(b.Want)
	case HomeRep:
		c.page(b.Page)
		c.node(b.Home)
	case PageReq:
		c.page(b.Page)
		c.time(b.Need)
	case PageRep:
		c.page(b.Page)
		c.time(b.V)
		c.bytes(b.Bytes)
	case Diffs:
		c.diffsOf(from, b.Diffs)
	case LockReq:
		c.lock(b.Lock)
		c.time(b.T)
	case LockFwd:
		c.fwds(b)
	case LockGrant:
		c.acquires(logs.Acquires{b.Acquire})
		c.notices(b.Notices)
	case BarrierArrive:
		c.time(b.Low)
		c.time(b.High)
		c.notices(b.Notices)
	case BarrierRelease:
		c.time(b.Barrier.T)
		c.notices(b.Notices)
	case CondReg:
		c.cond(b.Cond)
	case CondSignal:
		c.cond(b.Cond)
	case CondSignalAck:
		for _, w := range b.Woken {
			c.node(w.Node)
		}
	case CondWake:
		c.cond(b.Cond)
	default:
		c.recovery(from, n.cfg.Self, b)
	}
	return c.err
}

// recovery checks what recovering nodes and their helpers say.
func (c *checker) recovery(from, self NodeID, b Body) {
	switch b := b.(type) {
	case Recover:
		c.time(b.Ckp.T)
	case RecoverAck:
		c.fwds(b.Fwds...)
	case Recovery:
		c.reply(from, self, b)
	case FetchCopy:
		c.page(b.Page)
	case Copy:
		c.page(b.Page)
		c.time(b.V)
		c.bytes(b.Bytes)
	case FetchDiffs:
		c.page(b.Page)
		c.time(b.V)
	case PageDiffs:
		c.page(b.Page)
		c.diffsOf(from, b.Diffs)
	case Recovered:
		c.diffsOf(from, b.Diffs)
		for _, notice := range b.Notices {
			c.notice(notice)
		}
	}
}

func (c *checker) reply(from, self NodeID, b Recovery) {
	c.time(b.T)
	c.acquires(b.Sent)
	c.acquires(b.Rcvd)
	for _, e := range b.Barriers {
		c.time(e.T)
	}
	c.is(len(b.Cuts) == c.cfg.Nodes, "cuts of %d nodes, not %d", len(b.Cuts), c.cfg.Nodes)
	for _, notice := range b.Notices {
		c.notice(notice)
	}
	c.diffsOf(from, b.Diffs)
	c.diffsOf(self, b.Ragged)
	for _, h := range b.Homes {
		c.page(h.Page)
		c.node(h.Home)
	}
	for _, l := range b.Locks {
		c.lock(l.Lock)
		c.node(l.GaveTo)
		c.fwds(l.Next...)
	}
	if b.Sleeps != nil {
		c.cond(b.Sleeps.Cond)
	}
	if b.Waits != nil {
		c.lock(b.Waits.Lock)
		c.time(b.Waits.T)
	}
}

// check is nil for an operation on something that is there.
func (o Op) check(cfg Config) error {
	c := &checker{cfg: cfg}
	switch o.Kind {
	case Acquire, Release:
		c.lock(o.ID)
	case CondEnter, CondSleep, Signal, Broadcast:
		c.cond(o.ID)
	case Place:
		c.page(Page(o.ID))
		c.node(o.Node)
	}
	return c.err
}

// check is nil for a checkpoint of such a cluster.
func (s *State) check(cfg Config) error {
	c := &checker{cfg: cfg}
	c.time(s.T)
	c.time(s.V)
	c.time(s.Last)
	for _, p := range s.Pages {
		c.page(p.Page)
		c.node(p.Home)
		for _, t := range []vtime.Time{p.Need, p.V} {
			if t != nil {
				c.time(t)
			}
		}
		if p.Bytes != nil {
			c.bytes(p.Bytes)
			c.is(p.V != nil, "page %d has no version", p.Page)
		}
	}
	for _, l := range s.Held {
		c.lock(l.Lock)
	}
	c.is(len(s.Notices) == cfg.Nodes && len(s.Peers) == cfg.Nodes, "it is of %d nodes, not %d", len(s.Peers), cfg.Nodes)
	for _, list := range s.Notices {
		for _, notice := range list {
			c.notice(notice)
		}
	}
	c.diffsOf(cfg.Self, s.Diffs)
	c.diffs(s.Ragged)
	for _, e := range s.Bars {
		c.time(e.T)
	}
	for _, p := range s.Peers {
		c.time(p.Ckp.T)
	}
	return c.err
}
