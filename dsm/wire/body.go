// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"lazystate/dsm"
	"lazystate/dsm/logs"
)

func (c *coder) page(v *logs.Page) { c.u32((*uint32)(v)) }

func (c *coder) cut(v *logs.Cut) {
	c.u64(&v.Interval, &v.Ordinal)
	c.flags(&v.After, &v.Ragged, &v.Bound)
}

func (c *coder) notice(v *logs.Notice) {
	c.cut(&v.Cut)
	list(c, &v.Pages, c.page)
}

func (c *coder) notices(v *[]logs.Notice) { list(c, v, c.notice) }

func (c *coder) writerNotices(v *[]dsm.WriterNotice) {
	list(c, v, func(w *dsm.WriterNotice) {
		c.node(&w.Writer)
		c.notice(&w.Notice)
	})
}

func (c *coder) acquire(v *logs.Acquire) {
	c.u32(&v.Lock)
	c.u64(&v.Ordinal, &v.Seq)
	c.time(&v.T)
}

func (c *coder) barrier(v *logs.Barrier) {
	c.u64(&v.Number)
	c.u32(&v.ID)
	c.time(&v.T)
}

func (c *coder) stamp(v *dsm.Stamp) {
	c.u32(&v.Number)
	c.time(&v.T)
	c.u64(&v.Ordinal, &v.Barriers)
}

func (c *coder) news(v *dsm.News) {
	c.stamp(&v.Ckp)
	c.u64(&v.Bound)
	list(c, &v.Pages, func(b *dsm.PageBound) {
		c.page(&b.Page)
		c.u64(&b.Bound)
	})
}

func (c *coder) request(v *dsm.LockReq) {
	c.u32(&v.Lock)
	c.u64(&v.Ordinal)
	c.time(&v.T)
}

func (c *coder) forward(v *dsm.LockFwd) {
	c.u32(&v.Lock)
	c.node(&v.To)
	c.u64(&v.Ordinal)
	c.time(&v.T)
}

func (c *coder) registration(v *dsm.CondReg) { c.u32(&v.Cond); c.u64(&v.Ordinal) }

func (c *coder) lockReport(v *dsm.LockReport) {
	c.u32(&v.Lock)
	c.flags(&v.Have)
	c.u64(&v.Seq)
	c.node(&v.GaveTo)
	list(c, &v.Next, c.forward)
}

// recovery is what one peer has in its logs.
func (c *coder) recovery(v *dsm.Recovery) {
	c.time(&v.T)
	c.u64(&v.Received, &v.Ordinal, &v.Seen)
	list(c, &v.Sent, c.acquire)
	list(c, &v.Rcvd, c.acquire)
	list(c, &v.Barriers, c.barrier)
	list(c, &v.Cuts, func(w *logs.Cuts) { list(c, w, c.cut) })
	c.notices(&v.Notices)
	c.diffs(&v.Diffs)
	c.diffs(&v.Ragged)
	list(c, &v.Homes, func(h *dsm.PageHome) {
		c.page(&h.Page)
		c.node(&h.Home)
	})
	list(c, &v.Locks, c.lockReport)
	maybe(c, &v.Waits, c.request)
	c.u64(&v.Arrived)
	maybe(c, &v.Sleeps, c.registration)
	c.u64(&v.Woken, &v.WokeYou)
}

// text is at most 64 KiB.
func (c *coder) text(v *string) {
	b := []byte(*v)
	b = b[:min(len(b), 1<<16-1)]
	n := uint16(len(b))
	if c.u16(&n); c.decodes {
		*v = string(c.take(int(n)))
		return
	}
	c.b = append(c.b, b...)
}
