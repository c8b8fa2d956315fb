// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"fmt"

	"lazystate/dsm/logs"
	"lazystate/dsm/vtime"
)

// checker notes the first thing that is wrong with what comes from another node,
// the program or a disk: numbers out of range, vectors of another length, bytes
// that do not fit.
type checker struct {
	cfg  Config
	from NodeID // of a message
	err  error
}

func (c *checker) is(ok bool, format string, args ...any) {
	if !ok && c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// below is apart from is: what is asked of each page of each notice makes no
// garbage.
func (c *checker) below(what string, v uint32, bound int) {
	if uint64(v) >= uint64(bound) {
		c.is(false, "%s %d of %d", what, v, bound)
	}
}

func (c *checker) page(p Page)    { c.below("page", uint32(p), c.cfg.Pages) }
func (c *checker) node(i NodeID)  { c.below("node", uint32(i), c.cfg.Nodes) }
func (c *checker) lock(id uint32) { c.below("lock", id, c.cfg.Locks) }
func (c *checker) cond(id uint32) { c.below("condition", id, c.cfg.Conds) }

func (c *checker) time(t vtime.Time) {
	c.is(len(t) == c.cfg.Nodes, "a time of %d nodes, not %d", len(t), c.cfg.Nodes)
}

func (c *checker) bytes(b []byte) {
	c.is(len(b) == c.cfg.PageSize, "a page of %d bytes, not %d", len(b), c.cfg.PageSize)
}

func (c *checker) diff(d logs.Diff) {
	c.page(d.Page)
	c.node(d.Writer)
	c.time(d.T)
	c.is(d.Fits(c.cfg.PageSize), "a diff outside its page")
}

// diffsOf are all of one writer.
func (c *checker) diffsOf(w NodeID, list []logs.Diff) {
	for _, d := range list {
		c.diff(d)
		c.is(d.Writer == w, "a diff of another writer than %v", w)
	}
}

func (c *checker) notice(n logs.Notice)     { each(n.Pages, c.page) }
func (c *checker) acquire(a logs.Acquire)   { c.lock(a.Lock); c.time(a.T) }
func (c *checker) barriers(b logs.Barriers) { each(b, func(e logs.Barrier) { c.time(e.T) }) }

func (c *checker) writerNotices(list []WriterNotice) {
	for _, w := range list {
		c.node(w.Writer)
		c.notice(w.Notice)
	}
}

func each[T any](list []T, check func(T)) {
	for _, e := range list {
		check(e)
	}
}

// check is nil for a message that can be handled without harm to this node.
func (m *Message) check(cfg Config) error {
	c := &checker{cfg: cfg, from: m.From}
	if m.News != nil {
		c.time(m.News.Ckp.T)
		for _, b := range m.News.Pages {
			c.page(b.Page)
		}
	}
	m.Body.check(c)
	return c.err
}

func (b HomeReq) check(c *checker)   { c.page(b.Page); c.node(b.Want) }
func (b HomeRep) check(c *checker)   { c.page(b.Page); c.node(b.Home) }
func (b PageReq) check(c *checker)   { c.page(b.Page); c.time(b.Need) }
func (b PageRep) check(c *checker)   { c.page(b.Page); c.time(b.V); c.bytes(b.Bytes) }
func (b Diffs) check(c *checker)     { c.diffsOf(c.from, b.Diffs) }
func (b LockReq) check(c *checker)   { c.lock(b.Lock); c.time(b.T) }
func (b LockFwd) check(c *checker)   { c.lock(b.Lock); c.node(b.To); c.time(b.T) }
func (b LockGrant) check(c *checker) { c.acquire(b.Acquire); c.writerNotices(b.Notices) }

func (b BarrierArrive) check(c *checker) {
	c.time(b.Low)
	c.time(b.High)
	c.writerNotices(b.Notices)
}

func (b BarrierRelease) check(c *checker) { c.time(b.Barrier.T); c.writerNotices(b.Notices) }
func (b CondReg) check(c *checker)        { c.cond(b.Cond) }
func (CondRegAck) check(*checker)         {}
func (b CondSignal) check(c *checker)     { c.cond(b.Cond) }
func (b CondSignalAck) check(c *checker)  { each(b.Woken, func(r Registration) { c.node(r.Node) }) }
func (b CondWake) check(c *checker)       { c.cond(b.Cond) }
func (CondWakeAck) check(*checker)        {}
func (b Recover) check(c *checker)        { c.time(b.Ckp.T) }
func (b RecoverAck) check(c *checker)     { each(b.Fwds, func(f LockFwd) { f.check(c) }) }
func (Gather) check(*checker)             {}

func (b Recovery) check(c *checker) {
	c.time(b.T)
	each(b.Sent, c.acquire)
	each(b.Rcvd, c.acquire)
	c.barriers(b.Barriers)
	c.is(len(b.Cuts) == c.cfg.Nodes, "cuts of %d nodes, not %d", len(b.Cuts), c.cfg.Nodes)
	each(b.Notices, c.notice)
	c.diffsOf(c.from, b.Diffs)
	c.diffsOf(c.cfg.Self, b.Ragged)
	for _, h := range b.Homes {
		c.page(h.Page)
		c.node(h.Home)
	}
	for _, l := range b.Locks {
		c.lock(l.Lock)
		c.node(l.GaveTo)
		each(l.Next, func(f LockFwd) { f.check(c) })
	}
	if b.Waits != nil {
		b.Waits.check(c)
	}
	if b.Sleeps != nil {
		b.Sleeps.check(c)
	}
}

func (b FetchCopy) check(c *checker)  { c.page(b.Page) }
func (b Copy) check(c *checker)       { c.page(b.Page); c.time(b.V); c.bytes(b.Bytes) }
func (b FetchDiffs) check(c *checker) { c.page(b.Page); c.time(b.V) }

func (b PageDiffs) check(c *checker) {
	c.page(b.Page)
	c.diffsOf(c.from, b.Diffs)
	each(b.Diffs, func(d logs.Diff) { c.is(d.Page == b.Page, "a diff of another page than was asked for") })
}

func (b Recovered) check(c *checker) { c.diffsOf(c.from, b.Diffs); each(b.Notices, c.notice) }
func (Refused) check(*checker)       {}

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
	case Barrier:
	default:
		c.is(false, "there is no such operation")
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
		}
		c.is((p.Bytes == nil) == (p.V == nil), "page %d has bytes or a version, and not both", p.Page)
	}
	for _, l := range s.Held {
		c.lock(l.Lock)
	}
	c.is(len(s.Notices) == cfg.Nodes && len(s.Peers) == cfg.Nodes, "it is of %d nodes, not %d", len(s.Peers), cfg.Nodes)
	for _, list := range s.Notices {
		each(list, c.notice)
	}
	c.diffsOf(cfg.Self, s.Diffs)
	each(s.Ragged, c.diff)
	c.barriers(s.Bars)
	if s.Cond.Ordinal > 0 {
		c.cond(s.Cond.Cond)
	}
	for _, p := range s.Peers {
		c.time(p.Ckp.T)
	}
	return c.err
}
