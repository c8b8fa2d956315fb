// SPDX-License-Identifier: Apache-2.0

package verbstest

import (
	"testing"

	"lazystate/verbs"
	"lazystate/verbs/driver"
)

// event returns the next of d's events that is of a type, and passes over others.
func (b *bench) event(t *testing.T, d *verbs.Device, typ driver.EventType) verbs.Event {
	t.Helper()
	for {
		b.alive()
		if e := must(d.NextEvent(b.ctx))(t); e.Type == typ {
			return e
		}
	}
}

// testAsyncEvents: an event names the object that it is about, of several.
func testAsyncEvents(t *testing.T, b *bench) {
	b.need(t, verbs.CapEvents, "asynchronous events")
	t.Run("access error", func(t *testing.T) {
		if b.SilentRefusals {
			t.Skipf("%v raises none", b.b)
		}
		_, other := b.ends(t, config{})
		x, y := b.ends(t, config{})
		wr := x.request(verbs.OpRDMAWrite, 0, 8, y, 0)
		wr.RKey ^= 0x5a5a5a00
		x.send(wr)
		if s := x.wait(1)[0].Status; s != verbs.WCRemAccessErr {
			t.Fatal(s)
		}
		if e := b.event(t, b.b, driver.EventQPAccessErr); e.QP != y.qp || e.CQ != nil || e.SRQ != nil {
			t.Errorf("an event of %v, %v and %v; %v was refused, not %v", e.QP, e.CQ, e.SRQ, y.qp, other.qp)
		}
	})
	t.Run("queue overrun", func(t *testing.T) {
		x, y := b.ends(t, config{})
		x.overrun(y)
	})
}

// overrun lets more requests complete than a queue of x's has room for.
func (x *end) overrun(y *end) {
	x.t.Helper()
	cq := must(x.dev.CreateCQ(2, nil))(x.t)
	small, far := *x, *y
	small.cq, small.qp, far.qp = cq, nil, nil
	c := config{}
	c.defaults()
	small.prepare(c)
	far.prepare(c)
	small.connect(&far, c)
	x.t.Cleanup(func() { closeAll(x.t, small.qp, far.qp, cq) })
	for range 8 { // rxe rounds the size up
		small.send(small.request(verbs.OpRDMAWrite, 0, 8, y, 0))
	}
	if e := x.event(x.t, x.dev, driver.EventCQErr); e.CQ != cq || e.QP != nil || e.SRQ != nil {
		x.t.Errorf("an event of %v, %v and %v; %v is full, not %v", e.CQ, e.QP, e.SRQ, cq, x.cq)
	}
}
