// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"bytes"
	"sync/atomic"
	"testing"
	"time"

	"lazystate/verbs/driver"
)

// When DeregMR has returned nobody writes into that memory any more, whatever
// the peer is about to do.
func TestNobodyWritesAfterDeregMR(t *testing.T) {
	for range 30 {
		x, y := connected(t)
		m, err := y.d.Alloc(1 << 20)
		check(t, err)
		info, err := y.d.RegMR(y.pd, m, 0, driver.AccessLocalWrite|driver.AccessRemoteWrite)
		check(t, err)
		src, err := x.d.Alloc(1 << 20)
		check(t, err)
		local, err := x.d.RegMR(x.pd, src, 0, driver.AccessLocalWrite)
		check(t, err)
		var writes atomic.Int64
		done := make(chan driver.WCStatus)
		go func() {
			var wc [1]driver.WC
			for wc[0].Status == driver.WCSuccess {
				writes.Add(1)
				src.Bytes[writes.Load()%(1<<20)]++
				x.d.PostSend(x.qp.QP, []driver.SendWR{{Op: driver.OpRDMAWrite, Flags: driver.SendSignaled,
					SG: []driver.SGE{{Length: 1 << 20, LKey: local.LKey}}, RKey: info.RKey}})
				if _, err := x.d.WaitCQ(t.Context(), x.cq, wc[:]); err != nil {
					t.Error(err)
					break
				}
			}
			done <- wc[0].Status
		}()
		for writes.Load() < 4 && !t.Failed() {
			time.Sleep(10 * time.Microsecond)
		}
		check(t, y.d.DeregMR(info.MR))
		after := bytes.Clone(m.Bytes)
		if st := <-done; st != driver.WCRemAccessErr {
			t.Fatalf("the last write: %v", st)
		}
		if !bytes.Equal(after, m.Bytes) {
			t.Fatal("the memory changed after its registration had ended")
		}
		check(t, y.d.Free(m))
		check(t, x.d.DeregMR(local.MR))
		check(t, x.d.Free(src))
	}
}
