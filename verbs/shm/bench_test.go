// SPDX-License-Identifier: Apache-2.0

package shm_test

import (
	"fmt"
	"testing"

	"lazystate/verbs"
)

// side of a benchmark: everything of a connection, by the package that users see.
type side struct {
	dev *verbs.Device
	pd  *verbs.PD
	cq  *verbs.CQ
	mr  *verbs.MR
	p   *verbs.PreparedQP
	qp  *verbs.QP
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newSide(b *testing.B) *side {
	s := &side{dev: must(verbs.Open(b.Context(), "shm://bench"))(b)}
	s.pd = must(s.dev.AllocPD())(b)
	s.cq = must(s.dev.CreateCQ(256, nil))(b)
	s.mr = must(s.pd.AllocMR(1<<20, verbs.AccessAll))(b)
	s.p = must(s.pd.PrepareQP(&verbs.QPInitAttr{SendCQ: s.cq, Access: verbs.AccessAll,
		Cap: verbs.QPCap{MaxSendWR: 64, MaxRecvWR: 64, MaxSendSGE: 1, MaxRecvSGE: 1}}))(b)
	b.Cleanup(func() {
		for _, c := range []interface{ Close() error }{s.qp, s.mr, s.cq, s.pd, s.dev} {
			if err := c.Close(); err != nil {
				b.Error(err)
			}
		}
	})
	return s
}

func BenchmarkOneSided(b *testing.B) {
	x, y := newSide(b), newSide(b)
	ex, ey := x.p.Endpoint(), y.p.Endpoint()
	x.qp, y.qp = must(x.p.Connect(ey, nil))(b), must(y.p.Connect(ex, nil))(b)
	for _, c := range []struct {
		op verbs.Opcode
		n  int
	}{{verbs.OpRDMARead, 8}, {verbs.OpRDMARead, 64}, {verbs.OpRDMARead, 64 << 10}, {verbs.OpRDMAWrite, 64 << 10}, {verbs.OpAtomicCmpAndSwp, 8}} {
		b.Run(fmt.Sprintf("%v/%d", c.op, c.n), func(b *testing.B) {
			wrs := []verbs.SendWR{{Op: c.op, Flags: verbs.SendSignaled, SG: []verbs.SGE{x.mr.SGE(0, c.n)}, RemoteAddr: y.mr.Addr(), RKey: y.mr.RKey()}}
			wc := make([]verbs.WC, 1)
			b.SetBytes(int64(c.n))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := x.qp.PostSend(wrs...); err != nil {
					b.Fatal(err)
				}
				if n, err := x.cq.Wait(b.Context(), wc); n != 1 || err != nil || wc[0].Status != verbs.WCSuccess {
					b.Fatal(n, err, wc[0].Status)
				}
			}
		})
	}
	b.Run("copy/65536", func(b *testing.B) {
		b.SetBytes(64 << 10)
		for b.Loop() {
			copy(x.mr.Bytes()[:64<<10], y.mr.Bytes()[:64<<10])
		}
	})
}
