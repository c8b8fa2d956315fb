// SPDX-License-Identifier: Apache-2.0

package verbstest

import (
	"encoding/binary"
	"testing"

	"lazystate/verbs"
)

// config is what the two ends of a test are made with; zero values are usual ones.
type config struct {
	depth   int // of the queues; 0: 64
	sge     int // 0: 2
	inline  int
	memory  int          // bytes of each end's registration; 0: 64 KiB
	access  verbs.Access // of b's memory; 0: all
	qp      verbs.Access // of b's queue pair; 0: all
	psn     uint32       // of a; b's is the next
	mtu     verbs.MTU
	srq     *verbs.SRQ // of b
	connect verbs.ConnectOptions
}

// end is one side with everything that it needs.
type end struct {
	*bench
	t        *testing.T
	dev      *verbs.Device
	pd       *verbs.PD
	ch       *verbs.CompChannel
	cq       *verbs.CQ
	mr       *verbs.MR
	prepared *verbs.PreparedQP
	qp       *verbs.QP
}

func (c *config) defaults() {
	set := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	set(&c.depth, 64)
	set(&c.sge, 2)
	set(&c.memory, 64<<10)
	if c.access == 0 {
		c.access = verbs.AccessAll
	}
	if c.qp == 0 {
		c.qp = verbs.AccessAll
	}
	if c.connect == (verbs.ConnectOptions{}) {
		c.connect = verbs.DefaultConnectOptions()
	}
}

// newEnd makes everything but the connection.
func (b *bench) newEnd(t *testing.T, d *verbs.Device, c config, access verbs.Access) *end {
	t.Helper()
	e := &end{t: t, bench: b, dev: d}
	b.alive()
	e.pd = must(d.AllocPD())(t)
	e.ch = must(d.CreateCompChannel())(t)
	e.cq = must(d.CreateCQ(2*c.depth, e.ch))(t)
	e.mr = must(e.pd.AllocMR(c.memory, access))(t)
	t.Cleanup(e.close)
	e.prepare(c)
	return e
}

func (e *end) prepare(c config) {
	e.t.Helper()
	e.prepared = must(e.pd.PrepareQP(&verbs.QPInitAttr{
		SendCQ: e.cq, SRQ: c.srq, Access: c.qp, PSN: c.psn, MTU: c.mtu,
		Cap: verbs.QPCap{MaxSendWR: c.depth, MaxRecvWR: c.depth, MaxSendSGE: c.sge, MaxRecvSGE: c.sge, MaxInline: c.inline},
	}))(e.t)
}

func (e *end) close() {
	if e.qp != nil {
		closeAll(e.t, e.qp)
	}
	if e.prepared != nil {
		closeAll(e.t, e.prepared)
	}
	closeAll(e.t, e.mr, e.cq, e.ch, e.pd)
}

// ends makes two connected ends.
func (b *bench) ends(t *testing.T, c config) (x, y *end) {
	t.Helper()
	c.defaults()
	x = b.newEnd(t, b.a, c, verbs.AccessAll)
	if c.psn != 0 {
		c.psn++
	}
	y = b.newEnd(t, b.b, c, c.access)
	x.connect(y, c)
	return x, y
}

// connect connects x with y, both ways.
func (x *end) connect(y *end, c config) {
	x.t.Helper()
	ours, theirs := x.prepared.Endpoint(), y.prepared.Endpoint()
	y.qp = must(y.prepared.Connect(ours, c.options()))(y.t)
	x.qp = must(x.prepared.Connect(theirs, c.options()))(x.t)
}

// options are what c wants, and half a second to answer: a peer that lives may have
// no CPU for as long.
func (c *config) options() *verbs.ConnectOptions {
	o := c.connect
	if o.AckTimeout == verbs.DefaultConnectOptions().AckTimeout {
		o.AckTimeout = 17
	}
	return &o
}

// must returns the value of a call that succeeds.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// send posts requests.
func (e *end) send(wrs ...verbs.SendWR) {
	e.t.Helper()
	if n, err := e.qp.PostSend(wrs...); err != nil || n != len(wrs) {
		e.t.Fatalf("posted %d of %d: %v", n, len(wrs), err)
	}
}

// recv posts one receive of n bytes at off.
func (e *end) recv(id uint64, off, n int) {
	e.t.Helper()
	wr := verbs.RecvWR{ID: id}
	if n > 0 {
		wr.SG = []verbs.SGE{e.mr.SGE(off, n)}
	}
	post := e.prepared.PostRecv
	if e.qp != nil {
		post = e.qp.PostRecv
	}
	if _, err := post(wr); err != nil {
		e.t.Fatal(err)
	}
}

// wait returns the next n completions.
func (e *end) wait(n int) []verbs.WC {
	e.t.Helper()
	var all []verbs.WC
	for len(all) < n {
		wc := make([]verbs.WC, n-len(all))
		e.alive()
		k, err := e.cq.Wait(e.ctx, wc)
		if err != nil {
			e.t.Fatalf("after %d of %d completions: %v", len(all), n, err)
		}
		all = append(all, wc[:k]...)
	}
	return all
}

// ok waits for n completions that are successes.
func (e *end) ok(n int) []verbs.WC {
	e.t.Helper()
	all := e.wait(n)
	for i := range all {
		if err := all[i].Err(); err != nil {
			e.t.Fatal(err)
		}
	}
	return all
}

// request returns a signaled request on n bytes of e's memory at off, and of
// y's at its own.
func (e *end) request(op verbs.Opcode, off, n int, y *end, remote int) verbs.SendWR {
	wr := verbs.SendWR{Op: op, Flags: verbs.SendSignaled}
	if n > 0 {
		wr.SG = []verbs.SGE{e.mr.SGE(off, n)}
	}
	switch op {
	case verbs.OpSend, verbs.OpSendWithImm:
	default:
		wr.RemoteAddr, wr.RKey = y.mr.Addr()+uint64(remote), y.mr.RKey()
	}
	return wr
}

// fill gives b a pattern that no other seed has.
func fill(b []byte, seed int) {
	x := uint64(seed)*0x9e3779b97f4a7c15 + 1
	var word [8]byte
	for len(b) > 0 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		binary.NativeEndian.PutUint64(word[:], x)
		b = b[copy(b, word[:]):]
	}
}
