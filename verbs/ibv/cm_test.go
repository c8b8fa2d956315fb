// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"testing"

	"lazystate/verbs/driver"
)

var cmParam = driver.ConnParam{ResponderResources: 4, InitiatorDepth: 2, RetryCount: 7, RNRRetry: 7}

func withPrivate(p driver.ConnParam, data []byte) driver.ConnParam {
	p.Private = data
	return p
}

// ends are two sides with their connection managers, a listening.
func ends(t *testing.T) (d driver.Device, m driver.CM, l driver.Listener, a, b *side) {
	t.Helper()
	d = open(t)
	m, err := d.CM()
	must(t, err)
	l, err = m.Listen(netip.AddrPortFrom(netip.MustParseAddr(guestAddr), 0), 4)
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	return d, m, l, newSide(t, d, driver.RC, nil), newSide(t, d, driver.RC, nil)
}

func resolve(t *testing.T, m driver.CM, to netip.AddrPort) driver.Conn {
	t.Helper()
	c, err := m.Resolve(timeout(t), netip.Addr{}, to)
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	return c
}

// connected connects a to b by the connection manager.
func connected(t *testing.T, m driver.CM, l driver.Listener, a, b *side) (ca, cb driver.Conn) {
	t.Helper()
	ca = resolve(t, m, l.Addr())
	type result struct {
		c   driver.Conn
		err error
	}
	accepted := make(chan result, 1)
	go func() {
		c, err := l.Accept(timeout(t))
		if err == nil {
			p := cmParam
			p.Private = append([]byte("reply to "), bytes.TrimRight(c.Request().Private, "\x00")...)
			err = c.Accept(timeout(t), b.qp.QP, p)
		}
		accepted <- result{c, err}
	}()
	reply, err := ca.Connect(timeout(t), a.qp.QP, withPrivate(cmParam, []byte("a request")))
	must(t, err)
	r := <-accepted
	must(t, r.err)
	t.Cleanup(func() { must(t, r.c.Close()) })
	if got := string(bytes.TrimRight(reply.Private, "\x00")); got != "reply to a request" {
		t.Errorf("private data of the reply: %q", got)
	}
	return ca, r.c
}

func TestConnect(t *testing.T) {
	d, m, l, a, b := ends(t)
	ca, cb := connected(t, m, l, a, b)
	if ca.Local() != cb.Remote() || ca.Remote() != cb.Local() || ca.Remote() != l.Addr() {
		t.Errorf("addresses %v %v, %v %v", ca.Local(), ca.Remote(), cb.Local(), cb.Remote())
	}
	if q := cb.Request(); len(q.Private) != driver.MaxRequestPrivate || q.ResponderResources != 4 || q.InitiatorDepth != 2 || q.RetryCount != 7 {
		t.Errorf("request %+v", q)
	}
	for _, s := range []*side{a, b} {
		q, err := d.QueryQP(s.qp.QP)
		if err != nil || q.State != driver.QPRTS || q.Timeout != ackTimeout || q.MinRNRTimer != minRNRTimer {
			t.Errorf("queue pair %+v, %v", q, err)
		}
	}
	copy(b.mem.Bytes, "through the manager")
	a.post(driver.SendWR{Op: driver.OpRDMARead, Flags: driver.SendSignaled, SG: a.sg(0, 19), RKey: b.mr.RKey})
	if w := a.wait(1)[0]; w.Status != driver.WCSuccess || string(a.mem.Bytes[:19]) != "through the manager" {
		t.Errorf("%+v: %q", w, a.mem.Bytes[:19])
	}
	b.recv(driver.RecvWR{ID: 8})
	must(t, ca.Disconnect(timeout(t)))
	for _, c := range []driver.Conn{ca, cb} {
		select {
		case <-c.Done():
		case <-timeout(t).Done():
			t.Fatal("not told of the end")
		}
	}
	if w := b.wait(1)[0]; w.ID != 8 || w.Status != driver.WCWRFlushErr {
		t.Errorf("the peer's receive: %+v", w)
	}
}

// The passive side may end it as well, by closing alone.
func TestCloseDisconnects(t *testing.T) {
	_, m, l, a, b := ends(t)
	ca, cb := connected(t, m, l, a, b)
	must(t, cb.Close())
	select {
	case <-ca.Done():
	case <-timeout(t).Done():
		t.Fatal("not told of the end")
	}
	must(t, ca.Disconnect(timeout(t)))
}

func TestReject(t *testing.T) {
	_, m, l, a, _ := ends(t)
	go func() {
		if c, err := l.Accept(timeout(t)); err == nil {
			err = c.Reject([]byte("no room"))
			if err == nil {
				err = c.Close()
			}
			if err != nil {
				t.Error(err)
			}
		}
	}()
	c := resolve(t, m, l.Addr())
	_, err := c.Connect(timeout(t), a.qp.QP, cmParam)
	var r *driver.RejectError
	if !errors.As(err, &r) || r.Reason != driver.RejectConsumer || !bytes.HasPrefix(r.Private, []byte("no room")) {
		t.Errorf("rejected: %v", err)
	}
}

func TestNobodyListens(t *testing.T) {
	_, m, l, a, _ := ends(t)
	c := resolve(t, m, netip.AddrPortFrom(l.Addr().Addr(), 9))
	_, err := c.Connect(timeout(t), a.qp.QP, cmParam)
	var r *driver.RejectError
	if !errors.As(err, &r) || r.Reason != driver.RejectInvalidServiceID {
		t.Errorf("nobody listens: %v", err)
	}
	if _, err := c.Connect(timeout(t), a.qp.QP, withPrivate(cmParam, make([]byte, 57))); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("57 bytes of private data: %v", err)
	}
}

// Of an address without a machine the error is clear; waiting ends with ctx.
func TestNoSuchAddress(t *testing.T) {
	_, m, l, a, _ := ends(t)
	_, err := m.Resolve(timeout(t), netip.Addr{}, netip.MustParseAddrPort("192.0.2.1:7"))
	if !errors.Is(err, driver.ErrUnreachable) {
		t.Errorf("no route: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c := resolve(t, m, l.Addr()) // whom nobody accepts
	go cancel()
	if _, err := c.Connect(ctx, a.qp.QP, cmParam); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := l.Accept(ctx); !errors.Is(err, context.Canceled) && err != nil {
		t.Errorf("accept, cancelled: %v", err)
	}
}

func TestListenerClosed(t *testing.T) {
	_, m, l, _, _ := ends(t)
	done := make(chan error, 1)
	go func() {
		_, err := l.Accept(t.Context())
		done <- err
	}()
	if _, err := m.Listen(l.Addr(), 1); err == nil {
		t.Error("two listeners at one port")
	}
	must(t, l.Close())
	if err := <-done; !errors.Is(err, driver.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
