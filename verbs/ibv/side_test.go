// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"lazystate/tools/lab"
	"lazystate/verbs/driver"
)

// bound ends a test that hangs.
const bound = 2 * time.Minute

// guestAddr is the guest's address in its namespace.
const guestAddr = "10.77.0.2"

// open opens the guest's device.
func open(t *testing.T) driver.Device {
	t.Helper()
	if !lab.InGuest() {
		t.Skip("needs a guest with SoftRoCE: TestOnGuest runs it there")
	}
	d, err := Provider{}.Open(t.Context(), "rxe0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, d.Close()) })
	return d
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// side is one end of a connection: its queue pair with 4 KiB that the peer may use.
type side struct {
	t   *testing.T
	d   driver.Device
	pd  driver.PD
	cq  driver.CQ
	qp  driver.QPInfo
	mem driver.Memory
	mr  driver.MRInfo
}

const everything = driver.AccessLocalWrite | driver.AccessRemoteRead | driver.AccessRemoteWrite | driver.AccessRemoteAtomic | driver.AccessMWBind

func newSide(t *testing.T, d driver.Device, typ driver.QPType, srq func(driver.PD) driver.SRQ) *side {
	t.Helper()
	s := &side{t: t, d: d}
	var err error
	s.pd, err = d.AllocPD()
	must(t, err)
	t.Cleanup(func() { must(t, d.DeallocPD(s.pd)) })
	s.cq, err = d.CreateCQ(256, 0)
	must(t, err)
	t.Cleanup(func() { must(t, d.DestroyCQ(s.cq)) })
	s.mem, err = d.Alloc(4096)
	must(t, err)
	t.Cleanup(func() { must(t, d.Free(s.mem)) })
	s.mr, err = d.RegMR(s.pd, s.mem, 0, everything|driver.AccessZeroBased)
	must(t, err)
	t.Cleanup(func() { must(t, d.DeregMR(s.mr.MR)) })
	init := &driver.QPInitAttr{Type: typ, SendCQ: s.cq, RecvCQ: s.cq, Cap: driver.QPCap{
		MaxSendWR: 64, MaxRecvWR: 64, MaxSendSGE: 2, MaxRecvSGE: 2, MaxInline: 64,
	}}
	if srq != nil {
		init.SRQ = srq(s.pd)
	}
	s.qp, err = d.CreateQP(s.pd, init)
	must(t, err)
	t.Cleanup(func() { must(t, d.DestroyQP(s.qp.QP)) })
	return s
}

// gid returns the index of the row with the guest's IPv4 address.
func gid(t *testing.T, d driver.Device) (int, driver.GID) {
	t.Helper()
	want := driver.GIDOf(netip.MustParseAddr(guestAddr))
	gids, err := d.GIDs(1)
	must(t, err)
	for _, g := range gids {
		if g.GID == want && g.Type == driver.GIDRoCEv2 {
			return g.Index, g.GID
		}
	}
	t.Fatalf("no GID of %s in %+v", guestAddr, gids)
	return 0, driver.GID{}
}

func (s *side) init() {
	s.t.Helper()
	must(s.t, s.d.ModifyQP(s.qp.QP, &driver.QPAttr{State: driver.QPInit, Port: 1, Access: everything &^ driver.AccessMWBind},
		driver.QPMaskState|driver.QPMaskPKeyIndex|driver.QPMaskPort|driver.QPMaskAccess))
}

// to connects s with the queue pair of the other side.
func (s *side) to(o *side) {
	s.t.Helper()
	index, g := gid(s.t, s.d)
	must(s.t, s.d.ModifyQP(s.qp.QP, &driver.QPAttr{
		State: driver.QPRTR, PathMTU: driver.MTU1024, DestQPN: o.qp.Num, RQPSN: o.qp.Num & 0xff, MaxDestRdAtomic: 16, MinRNRTimer: 1,
		AV: driver.AHAttr{DGID: g, SGIDIndex: index, HopLimit: 64, Port: 1},
	}, driver.QPMaskState|driver.QPMaskAV|driver.QPMaskPathMTU|driver.QPMaskDestQPN|driver.QPMaskRQPSN|
		driver.QPMaskMaxDestRdAtomic|driver.QPMaskMinRNRTimer))
	must(s.t, s.d.ModifyQP(s.qp.QP, &driver.QPAttr{
		State: driver.QPRTS, RetryCount: 7, RNRRetry: 7, Timeout: 17, // half a second: an emulated CPU may stand still
		SQPSN: s.qp.Num & 0xff, MaxRdAtomic: 16,
	}, driver.QPMaskState|driver.QPMaskTimeout|driver.QPMaskRetry|driver.QPMaskRNRRetry|driver.QPMaskSQPSN|driver.QPMaskMaxRdAtomic))
}

// pair returns two connected sides of one device.
func pair(t *testing.T, d driver.Device) (a, b *side) {
	t.Helper()
	a, b = newSide(t, d, driver.RC, nil), newSide(t, d, driver.RC, nil)
	a.init()
	b.init()
	a.to(b)
	b.to(a)
	return a, b
}

// post posts and wants all taken.
func (s *side) post(wrs ...driver.SendWR) {
	s.t.Helper()
	if n, err := s.d.PostSend(s.qp.QP, wrs); n != len(wrs) || err != nil {
		s.t.Fatalf("posted %d of %d: %v", n, len(wrs), err)
	}
}

func (s *side) recv(wrs ...driver.RecvWR) {
	s.t.Helper()
	if n, err := s.d.PostRecv(s.qp.QP, wrs); n != len(wrs) || err != nil {
		s.t.Fatalf("posted %d of %d: %v", n, len(wrs), err)
	}
}

// wait polls until n completions are there.
func (s *side) wait(n int) []driver.WC {
	s.t.Helper()
	var all []driver.WC
	buf := make([]driver.WC, 50)
	for end := time.Now().Add(bound); len(all) < n; {
		got, err := s.d.PollCQ(s.cq, buf)
		must(s.t, err)
		all = append(all, buf[:got]...)
		if time.Now().After(end) {
			s.t.Fatalf("%d of %d completions: %+v", len(all), n, all)
		}
	}
	return all
}

// sg is a piece of the side's own memory.
func (s *side) sg(off, n int) []driver.SGE {
	return []driver.SGE{{Addr: s.mr.Addr + uint64(off), Length: uint32(n), LKey: s.mr.LKey}}
}

func timeout(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	t.Cleanup(cancel)
	return ctx
}
