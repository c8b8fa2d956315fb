// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"lazystate/verbs/driver"
)

// Every operation in one batch, one crossing.
func TestOneBatch(t *testing.T) {
	a, b := pair(t, open(t))
	copy(b.mem.Bytes[100:], "read me")
	binary.LittleEndian.PutUint64(b.mem.Bytes[200:], 7)
	copy(a.mem.Bytes, "written")
	b.recv(driver.RecvWR{ID: 70, SG: b.sg(1000, 64)}, driver.RecvWR{ID: 71, SG: b.sg(1100, 64)}, driver.RecvWR{ID: 72})
	sig := driver.SendSignaled
	a.post(
		driver.SendWR{ID: 1, Op: driver.OpRDMARead, Flags: sig, SG: append(a.sg(500, 4), a.sg(600, 3)...), RemoteAddr: 100, RKey: b.mr.RKey},
		driver.SendWR{ID: 2, Op: driver.OpRDMAWrite, SG: a.sg(0, 7), RemoteAddr: 300, RKey: b.mr.RKey},
		driver.SendWR{ID: 3, Op: driver.OpRDMAWrite, Flags: sig | driver.SendInline, Inline: []byte("in the request"), RemoteAddr: 400, RKey: b.mr.RKey},
		driver.SendWR{ID: 4, Op: driver.OpAtomicCmpAndSwp, Flags: sig, SG: a.sg(700, 8), RemoteAddr: 200, RKey: b.mr.RKey, CompareAdd: 7, Swap: 9},
		driver.SendWR{ID: 5, Op: driver.OpAtomicFetchAndAdd, Flags: sig, SG: a.sg(708, 8), RemoteAddr: 200, RKey: b.mr.RKey, CompareAdd: 5},
		driver.SendWR{ID: 6, Op: driver.OpSend, Flags: sig, SG: a.sg(0, 7)},
		driver.SendWR{ID: 7, Op: driver.OpSendWithImm, Flags: sig | driver.SendInline, Inline: []byte("hi"), Imm: 0x01020304},
		driver.SendWR{ID: 8, Op: driver.OpRDMAWriteWithImm, Flags: sig, SG: a.sg(0, 7), RemoteAddr: 320, RKey: b.mr.RKey, Imm: 0xa0b0c0d0},
	)
	want := []driver.WCOpcode{driver.WCRDMARead, driver.WCRDMAWrite, driver.WCCompSwap, driver.WCFetchAdd, driver.WCSend, driver.WCSend, driver.WCRDMAWrite}
	for i, w := range a.wait(len(want)) {
		if w.Status != driver.WCSuccess || w.Op != want[i] || w.QPNum != a.qp.Num || w.ID != []uint64{1, 3, 4, 5, 6, 7, 8}[i] {
			t.Errorf("completion %d is %+v", i, w)
		}
	}
	got := b.wait(3)
	for i, want := range []driver.WC{
		{ID: 70, Op: driver.WCRecv, ByteLen: 7},
		{ID: 71, Op: driver.WCRecv, ByteLen: 2, Flags: driver.WCWithImm, Imm: 0x01020304},
		{ID: 72, Op: driver.WCRecvRDMAWithImm, ByteLen: 7, Flags: driver.WCWithImm, Imm: 0xa0b0c0d0},
	} {
		want.QPNum = b.qp.Num
		want.SrcQP = got[i].SrcQP // of RC it means nothing
		if got[i] != want {
			t.Errorf("receive %d is %+v, not %+v", i, got[i], want)
		}
	}
	m, p := a.mem.Bytes, b.mem.Bytes
	for what, ok := range map[string]bool{
		"read":      string(m[500:504])+string(m[600:603]) == "read me",
		"write":     string(p[300:307]) == "written" && string(p[320:327]) == "written",
		"inline":    string(p[400:414]) == "in the request",
		"old words": binary.LittleEndian.Uint64(m[700:]) == 7 && binary.LittleEndian.Uint64(m[708:]) == 9,
		"new word":  binary.LittleEndian.Uint64(p[200:]) == 14,
		"sends":     bytes.HasPrefix(p[1000:], []byte("written")) && bytes.HasPrefix(p[1100:], []byte("hi")),
	} {
		if !ok {
			t.Errorf("%s: not what was asked", what)
		}
	}
}

// A post tells how many it took: until the queue is full, or one is wrong.
func TestPostsStopAtTheFirstBadRequest(t *testing.T) {
	a, b := pair(t, open(t))
	read := driver.SendWR{Op: driver.OpRDMARead, SG: a.sg(0, 8), RemoteAddr: 0, RKey: b.mr.RKey}
	bad := read
	bad.SG = make([]driver.SGE, a.qp.Cap.MaxSendSGE+1)
	if n, err := a.d.PostSend(a.qp.QP, []driver.SendWR{read, read, bad, read}); n != 2 || !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("the third is bad: %d taken, %v", n, err)
	}
	stale := driver.SendWR{Op: driver.OpBindMW, Bind: &driver.MWBind{MW: 12345}}
	if n, err := a.d.PostSend(a.qp.QP, []driver.SendWR{read, stale}); n != 1 || !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("no such window: %d taken, %v", n, err)
	}
	many := make([]driver.RecvWR, 200)
	n, err := b.d.PostRecv(b.qp.QP, many)
	if n < 64 || n >= 200 || !errors.Is(err, driver.ErrQueueFull) {
		t.Errorf("200 receives of %d: %d taken, %v", b.qp.Cap.MaxRecvWR, n, err)
	}
}

// SoftRoCE keeps a request that it refuses for the state, and executes it later.
func TestPostsLookAtTheState(t *testing.T) {
	s := newSide(t, open(t), driver.RC, nil)
	if n, err := s.d.PostRecv(s.qp.QP, make([]driver.RecvWR, 1)); n != 0 || !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("receive in RESET: %d, %v", n, err)
	}
	s.init()
	s.recv(driver.RecvWR{ID: 9, SG: s.sg(0, 8)})
	if n, err := s.d.PostSend(s.qp.QP, make([]driver.SendWR, 1)); n != 0 || !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("send in INIT: %d, %v", n, err)
	}
	must(t, s.d.ModifyQP(s.qp.QP, &driver.QPAttr{State: driver.QPError}, driver.QPMaskState))
	s.post(driver.SendWR{ID: 10, Op: driver.OpSend})
	for _, w := range s.wait(2) {
		if w.Status != driver.WCWRFlushErr || w.ID != 9 && w.ID != 10 {
			t.Errorf("in the error state: %+v", w)
		}
	}
	if a, err := s.d.QueryQP(s.qp.QP); err != nil || a.State != driver.QPError {
		t.Errorf("state %v, %v", a.State, err)
	}
}

// The completions of a queue pair that is destroyed go, its neighbour's stay.
func TestDestroyDropsCompletions(t *testing.T) {
	d := open(t)
	a, b := pair(t, d)
	other, err := d.CreateQP(a.pd, &driver.QPInitAttr{Type: driver.RC, SendCQ: a.cq, RecvCQ: a.cq, Cap: driver.QPCap{MaxSendWR: 4, MaxRecvWR: 4, MaxSendSGE: 1, MaxRecvSGE: 1}})
	must(t, err)
	set := func(st driver.QPState, mask driver.QPMask) {
		must(t, d.ModifyQP(other.QP, &driver.QPAttr{State: st, Port: 1}, mask))
	}
	set(driver.QPInit, driver.QPMaskState|driver.QPMaskPKeyIndex|driver.QPMaskPort|driver.QPMaskAccess)
	if n, err := d.PostRecv(other.QP, []driver.RecvWR{{ID: 1}, {ID: 2}}); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	set(driver.QPError, driver.QPMaskState)
	a.post(driver.SendWR{ID: 77, Op: driver.OpRDMARead, Flags: driver.SendSignaled, SG: a.sg(0, 8), RKey: b.mr.RKey})
	one := make([]driver.WC, 1)
	for n := 0; n == 0; { // all three are there once the last of them is
		n, err = d.PollCQ(a.cq, one)
		must(t, err)
	}
	if one[0].QPNum != other.Num {
		t.Fatalf("the first completion is %+v", one[0])
	}
	must(t, d.DestroyQP(other.QP))
	if w := a.wait(1); w[0].ID != 77 || len(w) != 1 {
		t.Errorf("left are %+v", w)
	}
}

// A channel's descriptor becomes readable, and tells which queue.
func TestChannel(t *testing.T) {
	d := open(t)
	a, b := pair(t, d)
	ch, fd, err := d.CreateChannel()
	must(t, err)
	cq, err := d.CreateCQ(8, ch)
	must(t, err)
	qp, err := d.CreateQP(b.pd, &driver.QPInitAttr{Type: driver.RC, SendCQ: cq, RecvCQ: cq, Cap: driver.QPCap{MaxSendWR: 4, MaxRecvWR: 4, MaxSendSGE: 1, MaxRecvSGE: 1}})
	must(t, err)
	e := &side{t: t, d: d, pd: b.pd, cq: cq, qp: qp}
	c := newSide(t, d, driver.RC, nil)
	e.init()
	c.init()
	e.to(c)
	c.to(e)
	if got, err := d.NextCQ(ch); got != 0 || err != nil {
		t.Errorf("an event before there is one: %v, %v", got, err)
	}
	must(t, d.ArmCQ(cq, false))
	e.post(driver.SendWR{ID: 5, Op: driver.OpRDMARead, Flags: driver.SendSignaled, SG: b.sg(0, 8), RKey: c.mr.RKey})
	ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if n, err := unix.Poll(ready, int(bound.Milliseconds())); n != 1 || err != nil {
		t.Fatalf("poll: %d, %v", n, err)
	}
	if got, err := d.NextCQ(ch); got != cq || err != nil {
		t.Errorf("event of %v, %v", got, err)
	}
	if w := e.wait(1); w[0].ID != 5 {
		t.Errorf("%+v", w)
	}
	must(t, d.DestroyQP(qp.QP))
	must(t, d.DestroyCQ(cq))
	must(t, d.DestroyChannel(ch))
	_ = a
}

// A window gives its part of a registration until it is invalidated, here or there.
func TestWindow(t *testing.T) {
	a, b := pair(t, open(t))
	mw, key, err := b.d.AllocMW(b.pd)
	must(t, err)
	t.Cleanup(func() { must(t, b.d.DeallocMW(mw)) })
	next := func() uint32 { key = key&^0xff | (key+1)&0xff; return key }
	bind := func(k uint32) driver.SendWR {
		return driver.SendWR{ID: 1, Op: driver.OpBindMW, Flags: driver.SendSignaled,
			Bind: &driver.MWBind{MW: mw, RKey: k, MR: b.mr.MR, Addr: b.mr.Addr + 64, Length: 128, Access: driver.AccessRemoteRead}}
	}
	ok := func(s *side, want driver.WCOpcode) {
		t.Helper()
		if w := s.wait(1)[0]; w.Status != driver.WCSuccess || w.Op != want {
			t.Fatalf("%+v, not %v", w, want)
		}
	}
	copy(b.mem.Bytes[64:], "window")
	for range 2 { // bind, use, invalidate: here, then by the peer
		k := next()
		b.post(bind(k))
		ok(b, driver.WCBindMW)
		a.post(driver.SendWR{Op: driver.OpRDMARead, Flags: driver.SendSignaled, SG: a.sg(0, 6), RemoteAddr: b.mr.Addr + 64, RKey: k})
		ok(a, driver.WCRDMARead)
		if string(a.mem.Bytes[:6]) != "window" {
			t.Errorf("read %q", a.mem.Bytes[:6])
		}
		clear(a.mem.Bytes)
		b.post(driver.SendWR{Op: driver.OpLocalInv, Flags: driver.SendSignaled, Imm: k})
		ok(b, driver.WCLocalInv)
	}
	k := next()
	b.recv(driver.RecvWR{SG: b.sg(2000, 8)})
	b.post(bind(k))
	ok(b, driver.WCBindMW)
	a.post(driver.SendWR{Op: driver.OpSendWithInv, Flags: driver.SendSignaled, SG: a.sg(0, 2), Imm: k})
	ok(a, driver.WCSend)
	if w := b.wait(1)[0]; w.Status != driver.WCSuccess || w.Flags != driver.WCWithInv || w.Imm != k {
		t.Errorf("the peer's invalidation: %+v", w)
	}
	a.post(driver.SendWR{Op: driver.OpRDMARead, Flags: driver.SendSignaled, SG: a.sg(0, 6), RemoteAddr: b.mr.Addr + 64, RKey: k})
	if w := a.wait(1)[0]; w.Status != driver.WCRemAccessErr {
		t.Errorf("an invalid key: %+v", w)
	}
}

// A datagram brings 40 bytes of address before the payload, and who sent it.
func TestDatagram(t *testing.T) {
	d := open(t)
	a, b := newSide(t, d, driver.UD, nil), newSide(t, d, driver.UD, nil)
	index, g := gid(t, d)
	for _, s := range []*side{a, b} {
		must(t, d.ModifyQP(s.qp.QP, &driver.QPAttr{State: driver.QPInit, Port: 1, QKey: 0x1234},
			driver.QPMaskState|driver.QPMaskPKeyIndex|driver.QPMaskPort|driver.QPMaskQKey))
		must(t, d.ModifyQP(s.qp.QP, &driver.QPAttr{State: driver.QPRTR}, driver.QPMaskState))
		must(t, d.ModifyQP(s.qp.QP, &driver.QPAttr{State: driver.QPRTS}, driver.QPMaskState|driver.QPMaskSQPSN))
	}
	ah, err := d.CreateAH(a.pd, &driver.AHAttr{DGID: g, SGIDIndex: index, HopLimit: 64, Port: 1})
	must(t, err)
	t.Cleanup(func() { must(t, d.DestroyAH(ah)) })
	copy(a.mem.Bytes, "datagram")
	b.recv(driver.RecvWR{ID: 3, SG: b.sg(0, 100)})
	a.post(driver.SendWR{Op: driver.OpSend, Flags: driver.SendSignaled, SG: a.sg(0, 8), AH: ah, RemoteQPN: b.qp.Num, RemoteQK: 0x1234})
	a.wait(1)
	w := b.wait(1)[0]
	if w.Status != driver.WCSuccess || w.ByteLen != 48 || w.Flags&driver.WCGRH == 0 || w.SrcQP != a.qp.Num || string(b.mem.Bytes[40:48]) != "datagram" {
		t.Errorf("%+v: %q", w, b.mem.Bytes[40:48])
	}
}

// SoftRoCE looks at a window's key and not at its bounds (docs/security.md): the
// suite skips what this shows, so this tells when it need not any more.
func TestWindowBounds(t *testing.T) {
	a, b := pair(t, open(t))
	mw, key, err := b.d.AllocMW(b.pd)
	must(t, err)
	t.Cleanup(func() { must(t, b.d.DeallocMW(mw)) })
	key = key&^0xff | (key+1)&0xff
	b.post(driver.SendWR{Op: driver.OpBindMW, Flags: driver.SendSignaled, Bind: &driver.MWBind{
		MW: mw, RKey: key, MR: b.mr.MR, Addr: b.mr.Addr + 64, Length: 128, Access: driver.AccessRemoteRead,
	}})
	b.wait(1)
	a.post(driver.SendWR{Op: driver.OpRDMARead, Flags: driver.SendSignaled, SG: a.sg(0, 8), RemoteAddr: b.mr.Addr + 1000, RKey: key})
	if w := a.wait(1)[0]; w.Status != driver.WCSuccess {
		t.Errorf("%v: the kernel keeps the bounds now; take WideWindows and its line in docs/security.md away", w.Status)
	}
}
