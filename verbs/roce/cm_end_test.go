// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"lazystate/verbs/driver"
	"lazystate/verbs/roce/netio"
	"lazystate/verbs/roce/wire"
)

// established is a connection with a stranger, whose identifiers are returned.
func established(t *testing.T) (*side, *stranger, driver.Listener, driver.Conn, wire.CommIDs) {
	t.Helper()
	me, s, l, c := asked(t)
	rep, done := accept(me, s, c)
	s.rtu(&rep)
	check(t, <-done)
	return me, s, l, c, wire.CommIDs{LocalCommID: rep.RemoteCommID, RemoteCommID: rep.LocalCommID}
}

// A DREP that was lost is asked for again; the connection is forgotten all the same.
func TestRepeatedDREQIsForgotten(t *testing.T) {
	me, s, _, c, ids := established(t)
	for range 2 {
		s.send(81, wire.AttrDREQ, &wire.DREQ{CommIDs: ids, RemoteQPN: uint32(me.qp)})
		var drep wire.DREP
		s.hears(wire.AttrDREP, &drep)
	}
	<-c.Done()
	d := me.d
	d.mu.Lock()
	defer d.mu.Unlock()
	d.expire(d.now() + 2*timewait)
	if n := len(d.cm.conns) + len(d.cm.byPeer) + len(d.cm.made); n != 0 {
		t.Errorf("%d places are taken still", n)
	}
}

// A queue pair that was reset after its connection's end is connected again, and
// the old connection's last moments are not its own.
func TestQueuePairIsConnectedAgain(t *testing.T) {
	me, s, l, c, ids := established(t)
	s.send(81, wire.AttrDREQ, &wire.DREQ{CommIDs: ids, RemoteQPN: uint32(me.qp)})
	var drep wire.DREP
	s.hears(wire.AttrDREP, &drep)
	<-c.Done()
	check(t, me.d.ModifyQP(me.qp, &driver.QPAttr{State: driver.QPReset}, driver.QPMaskState))
	s.send(77, wire.AttrREQ, s.req(0x2222, l.Addr().Port()))
	rep, done := accept(me, s, must[driver.Conn](t)(l.Accept(me.ctx)))
	s.rtu(&rep)
	check(t, <-done)
	d := me.d
	d.mu.Lock()
	d.expire(d.now() + 2*timewait)
	old, state := len(d.cm.conns), d.qps[uint32(me.qp)].state
	d.mu.Unlock()
	if old != 1 || state != driver.QPRTS {
		t.Errorf("%d connections, the queue pair is in %v", old, state)
	}
}

// 12.9.7.3: a peer that gave up its half says so, though ours stands.
func TestPeerGivesUpItsHalf(t *testing.T) {
	me, s, _, c, ids := established(t)
	s.send(77, wire.AttrREJ, &wire.REJ{CommIDs: ids, MessageRejected: wire.AboutREP, Reason: driver.RejectTimeout})
	select {
	case <-c.Done():
	case <-me.ctx.Done():
		t.Fatal("nobody is told")
	}
	if a := must[driver.QPAttr](t)(me.d.QueryQP(me.qp)); a.State != driver.QPError {
		t.Errorf("the queue pair is in %v", a.State)
	}
}

// Whoever waits for a peer when the device is closed, waits no longer.
func TestCloseEndsHandshakes(t *testing.T) {
	for name, begin := range map[string]func(*side, *stranger) chan error{
		"Connect": func(me *side, s *stranger) chan error {
			c := must[driver.Conn](t)(me.d.cm.Resolve(me.ctx, netip.Addr{}, netip.MustParseAddrPort("10.9.9.2:7174")))
			done := make(chan error, 1)
			go func() {
				_, err := c.Connect(me.ctx, me.qp, driver.ConnParam{})
				done <- err
			}()
			s.hears(wire.AttrREQ, new(wire.REQ))
			return done
		},
		"Accept": func(me *side, s *stranger) chan error {
			l := must[driver.Listener](t)(me.d.cm.Listen(netip.AddrPort{}, 4))
			s.send(77, wire.AttrREQ, s.req(0x1111, l.Addr().Port()))
			_, done := accept(me, s, must[driver.Conn](t)(l.Accept(me.ctx)))
			return done
		},
		"Disconnect": func(me *side, s *stranger) chan error {
			l := must[driver.Listener](t)(me.d.cm.Listen(netip.AddrPort{}, 4))
			s.send(77, wire.AttrREQ, s.req(0x1111, l.Addr().Port()))
			c := must[driver.Conn](t)(l.Accept(me.ctx))
			rep, done := accept(me, s, c)
			s.rtu(&rep)
			check(t, <-done)
			go func() { done <- errors.Join(c.Disconnect(me.ctx), driver.ErrClosed) }()
			s.hears(wire.AttrDREQ, new(wire.DREQ))
			return done
		},
	} {
		t.Run(name, func(t *testing.T) {
			hub := &netio.Hub{}
			d := must[*Device](t)(Open(Config{Port: 4791, MTU: driver.MTU1024, IO: must[netio.Port](t)(hub.Port(netip.MustParseAddrPort("10.9.9.1:4791"), true))}))
			s := &stranger{t: t, to: d, port: must[netio.Port](t)(hub.Port(netip.MustParseAddrPort("10.9.9.2:4791"), false))}
			t.Cleanup(func() { check(t, s.port.Close()) })
			s.flow = must[wire.Flow](t)(wire.NewFlow(s.port.Local(), d.Local()))
			me := newSide(t, d, 4096)
			done := begin(me, s)
			check(t, d.Close())
			if err := <-done; !errors.Is(err, driver.ErrClosed) || me.ctx.Err() != nil {
				t.Error(err)
			}
		})
	}
}

// Requests of strangers fill no more memory than connections could.
func TestRequestsAreBounded(t *testing.T) {
	hub := &netio.Hub{}
	d := must[*Device](t)(newDevice(Config{Port: 4791, PeerPort: 4791}, must[netio.Port](t)(hub.Port(netip.MustParseAddrPort("10.9.9.1:4791"), false))))
	close(d.threadDone)
	t.Cleanup(func() { check(t, d.Close()) })
	s := &stranger{t: t, to: d, port: must[netio.Port](t)(hub.Port(netip.MustParseAddrPort("10.9.9.2:4791"), false))}
	t.Cleanup(func() { check(t, s.port.Close()) })
	d.mu.Lock()
	defer d.mu.Unlock()
	for id := range uint32(maxConns) {
		d.cm.conns[id+1] = nil
	}
	d.cm.onREQ(&wire.MADHeader{TID: 7}, s.req(0x1111, 7174), s.port.Local().Addr(), d.now())
	if len(d.cm.conns) != maxConns || d.count.CMDropped != 1 {
		t.Errorf("%d connections, %d dropped", len(d.cm.conns), d.count.CMDropped)
	}
	clear(d.cm.conns)
}

// Who answers no REQ is asked ever more rarely, and then the dialer is told; some time
// later nothing is left of it.
func TestUnansweredREQIsGivenUp(t *testing.T) {
	hub := &netio.Hub{}
	d := must[*Device](t)(newDevice(Config{Port: 4791, PeerPort: 4791}, must[netio.Port](t)(hub.Port(netip.MustParseAddrPort("10.9.9.1:4791"), false))))
	close(d.threadDone)
	t.Cleanup(func() { check(t, d.Close()) })
	me := newSide(t, d, 4096)
	c := must[driver.Conn](t)(d.cm.Resolve(me.ctx, netip.Addr{}, netip.MustParseAddrPort("10.9.9.2:7174"))).(*conn)
	failed := make(chan error, 1)
	go func() {
		_, err := c.Connect(me.ctx, me.qp, driver.ConnParam{})
		failed <- err
	}()
	for due := int64(0); due == 0; time.Sleep(time.Millisecond) {
		d.mu.Lock()
		due = c.due
		d.mu.Unlock()
	}
	now := givesUp(t, d, c)
	if err := <-failed; !errors.Is(err, driver.ErrUnreachable) {
		t.Errorf("connect: %v", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.expire(now + 2*timewait); len(d.cm.conns) != 0 {
		t.Error("the connection is never forgotten")
	}
}

// givesUp lets a dialer's time pass until it does, and returns when that was.
func givesUp(t *testing.T, d *Device, c *conn) int64 {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	now := c.due - madFirstRetry
	for c.state == connREQSent {
		pause := c.due - now
		if now += pause; pause < madFirstRetry || pause > madMaxRetry {
			t.Fatalf("asked again after %v", time.Duration(pause))
		}
		d.expire(now)
		d.tx.flush()
	}
	if d.count.CMSent != madTries+1 { // and a REJ
		t.Errorf("%d messages were sent", d.count.CMSent)
	}
	return now
}
