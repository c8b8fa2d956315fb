// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"testing"

	"lazystate/internal/seqnum"
	"lazystate/verbs/driver"
)

// A READ that was delivered twice, the second time after its memory had gone,
// breaks no connection: its answer has come.
func TestRepeatedReadOfMemoryThatWent(t *testing.T) {
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	d := NewNetwork(Faults{}).Device()
	defer d.Close()
	pd, err := d.AllocPD()
	check(err)
	m, err := d.Alloc(4096)
	check(err)
	defer d.Free(m)
	mr, err := d.RegMR(pd, m, 0, driver.AccessRemoteRead)
	check(err)
	cq, err := d.CreateCQ(8, 0)
	check(err)
	qp, err := d.CreateQP(pd, &driver.QPInitAttr{Type: driver.RC, SendCQ: cq, RecvCQ: cq, Cap: driver.QPCap{MaxSendWR: 1, MaxRecvWR: 1}})
	check(err)
	peer := driver.GID{1}
	a := driver.QPAttr{Access: driver.AccessRemoteRead, PathMTU: driver.MTU4096, DestQPN: 7, AV: driver.AHAttr{DGID: peer}, MaxDestRdAtomic: 1}
	for _, a.State = range []driver.QPState{driver.QPInit, driver.QPRTR, driver.QPRTS} {
		check(d.ModifyQP(qp.QP, &a, ^driver.QPMask(0)))
	}
	read := func(psn seqnum.PSN) driver.QPState {
		t.Helper()
		d.receive(&message{from: peer, src: 7, qp: qp.Num, kind: request, psn: psn, op: driver.OpRDMARead, length: 8, rkey: mr.RKey})
		now, err := d.QueryQP(qp.QP)
		check(err)
		return now.State
	}
	if st := read(0); st != driver.QPRTS {
		t.Fatalf("read: %v", st)
	}
	check(d.DeregMR(mr.MR))
	if st := read(0); st != driver.QPRTS {
		t.Errorf("read again: %v", st)
	}
	if st := read(1); st != driver.QPError {
		t.Errorf("read what has gone: %v", st)
	}
}
