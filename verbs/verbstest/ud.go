// SPDX-License-Identifier: Apache-2.0

package verbstest

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"lazystate/verbs"
)

const grh = 40 // bytes of address before a datagram

// testUD sends datagrams, which may be lost: each is sent until it arrives.
func testUD(t *testing.T, b *bench) {
	b.need(t, verbs.CapUD, "datagrams")
	c := config{memory: 16 << 10}
	c.defaults()
	x, y := b.newEnd(t, b.a, c, verbs.AccessAll), b.newEnd(t, b.b, c, verbs.AccessAll)
	const qkey = 0x11112222
	init := func(e *end) *verbs.UDQP {
		u := must(e.pd.CreateUDQP(&verbs.QPInitAttr{SendCQ: e.cq, Cap: verbs.QPCap{MaxSendWR: 64, MaxRecvWR: 64, MaxSendSGE: 1, MaxRecvSGE: 1}}, qkey))(t)
		t.Cleanup(func() { closeAll(t, u) })
		return u
	}
	ux, uy := init(x), init(y)
	gids := must(must(b.a.Port(1))(t).GIDs())(t)
	from := slices.IndexFunc(gids, func(g verbs.GIDEntry) bool { return g.GID == x.prepared.Endpoint().GID })
	ah := must(x.pd.CreateAH(&verbs.AHAttr{DGID: y.prepared.Endpoint().GID, SGIDIndex: gids[from].Index, Port: 1, HopLimit: 64}))(t)
	t.Cleanup(func() { closeAll(t, ah) })
	for i, n := range []int{0, 1, 100, min(1000, b.mtu(t).Bytes())} {
		must(uy.PostRecv(verbs.RecvWR{ID: uint64(i), SG: []verbs.SGE{y.mr.SGE(0, grh+1000)}}))(t)
		fill(x.mr.Bytes()[:n], i)
		var wc [1]verbs.WC
		for arrived := false; !arrived; {
			wr := verbs.SendWR{
				Op: verbs.OpSend, Flags: verbs.SendSignaled, SG: []verbs.SGE{x.mr.SGE(0, n)},
				AH: ah.Handle(), RemoteQPN: uy.Num(), RemoteQK: qkey,
			}
			must(ux.PostSend(wr))(t)
			x.ok(1)
			arrived = b.datagramCame(t, y, wc[:])
		}
		if w := wc[0]; w.Err() != nil || w.ID != uint64(i) || w.ByteLen != uint32(grh+n) || w.SrcQP != ux.Num() || w.Flags&verbs.WCGRH == 0 {
			t.Errorf("received %+v", w)
		}
		if got := y.mr.Bytes()[grh : grh+n]; !bytes.Equal(got, x.mr.Bytes()[:n]) {
			t.Errorf("%d bytes: other ones came", n)
		}
	}
}

// datagramCame waits for a receive's completion: for as long as it takes, or
// where datagrams are lost, for a moment.
func (b *bench) datagramCame(t *testing.T, y *end, wc []verbs.WC) bool {
	t.Helper()
	ctx, cancel := b.ctx, context.CancelFunc(func() {})
	if b.Lossy {
		ctx, cancel = context.WithTimeout(b.ctx, 200*time.Millisecond)
	}
	defer cancel()
	_, err := y.cq.Wait(ctx, wc)
	if err != nil && (!b.Lossy || b.ctx.Err() != nil) {
		t.Fatal(err)
	}
	return err == nil
}
