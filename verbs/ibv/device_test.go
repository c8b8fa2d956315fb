// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv

import (
	"context"
	"errors"
	"slices"
	"testing"

	"lazystate/tools/lab"
	"lazystate/verbs/driver"
)

// A machine without RDMA, as the one that runs make test, is told so.
func TestNoDevice(t *testing.T) {
	names, err := Provider{}.Devices()
	if lab.InGuest() {
		if err != nil || !slices.Equal(names, []string{"rxe0"}) {
			t.Errorf("devices %v, %v", names, err)
		}
		if _, err := (Provider{}).Open(t.Context(), "rxe7"); err == nil || errors.Is(err, driver.ErrNotSupported) {
			t.Errorf("opened what is not there: %v", err)
		}
		return
	}
	if err == nil {
		t.Skipf("this machine has %v", names)
	}
	if !errors.Is(err, driver.ErrNotSupported) {
		t.Errorf("devices: %v", err)
	}
	if _, err := (Provider{}).Open(t.Context(), ""); !errors.Is(err, driver.ErrNotSupported) {
		t.Errorf("open: %v", err)
	}
}

func TestDevice(t *testing.T) {
	d := open(t)
	a := d.Attr()
	want := driver.CapSRQ | driver.CapWindows | driver.CapLocalInv | driver.CapEvents | driver.CapUD | driver.CapCM
	if a.Name != "rxe0" || a.Provider != "ibv" || a.Ports != 1 || a.Caps != want || a.Atomics != driver.AtomicHCA ||
		a.MaxQPRdAtom != 128 || a.MaxSGE != 32 || a.MaxMsgSize < 8<<20 || a.MaxInline != 512 {
		t.Errorf("attributes %+v", a)
	}
	p, err := d.Port(1)
	if err != nil || p.State != driver.PortActive || p.ActiveMTU != driver.MTU1024 || !p.Ethernet || p.Netdev != "eth0" {
		t.Errorf("port %+v, %v", p, err)
	}
	if _, err := d.Port(2); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("port 2: %v", err)
	}
	gid(t, d)
}

// Opening twice gives two devices: handles and events of one are not the other's.
func TestTwoOpens(t *testing.T) {
	d, e := open(t), open(t)
	pd, err := d.AllocPD()
	must(t, err)
	if err := e.DeallocPD(pd); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("another device's handle: %v", err)
	}
	must(t, d.DeallocPD(pd))
	if err := d.DeallocPD(pd); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("a stale handle: %v", err)
	}
}

func TestErrorsNameTheFunction(t *testing.T) {
	d := open(t)
	s := newSide(t, d, driver.RC, nil)
	_, err := d.CreateQP(s.pd, &driver.QPInitAttr{Type: driver.RC, SendCQ: s.cq, RecvCQ: s.cq, Cap: driver.QPCap{MaxSendWR: 1, MaxSendSGE: 10000}})
	var e *Error
	if !errors.As(err, &e) || e.Func != "ibv_create_qp" || !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("too many scatter entries: %v", err)
	}
	if err := d.DeallocPD(s.pd); !errors.As(err, &e) || e.Func != "ibv_dealloc_pd" || e.Errno == 0 {
		t.Errorf("a domain in use: %v", err)
	}
	if err := d.DestroyCQ(s.cq); !errors.As(err, &e) || e.Func != "ibv_destroy_cq" {
		t.Errorf("a queue in use: %v", err)
	}
}

func TestEventsWaitInThePoller(t *testing.T) {
	d := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := d.NextEvent(ctx)
			done <- err
		}()
	}
	cancel()
	for range 2 {
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	}
	go func() {
		_, err := d.NextEvent(t.Context())
		done <- err
	}()
	must(t, d.Close())
	if err := <-done; !errors.Is(err, driver.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// A shared receive queue tells when it runs low, and whose it is.
func TestSRQLimit(t *testing.T) {
	d := open(t)
	var srq driver.SRQ
	a, b := newSide(t, d, driver.RC, nil), newSide(t, d, driver.RC, func(pd driver.PD) driver.SRQ {
		var err error
		srq, err = d.CreateSRQ(pd, 16, 1)
		must(t, err)
		t.Cleanup(func() { must(t, d.DestroySRQ(srq)) })
		return srq
	})
	a.init()
	b.init()
	a.to(b)
	b.to(a)
	var recvs []driver.RecvWR
	for i := range 4 {
		recvs = append(recvs, driver.RecvWR{ID: uint64(i), SG: b.sg(64*i, 64)})
	}
	if n, err := d.PostSRQRecv(srq, recvs); n != 4 || err != nil {
		t.Fatalf("posted %d, %v", n, err)
	}
	must(t, d.ArmSRQ(srq, 3))
	for range 2 {
		a.post(driver.SendWR{Op: driver.OpSend, Flags: driver.SendSignaled, SG: a.sg(0, 10)})
	}
	b.wait(2)
	ev, err := d.NextEvent(timeout(t))
	for err == nil && ev.Type == driver.EventCommEst {
		ev, err = d.NextEvent(timeout(t))
	}
	if err != nil || ev.Type != driver.EventSRQLimit || ev.SRQ != srq {
		t.Errorf("event %+v, %v", ev, err)
	}
}
