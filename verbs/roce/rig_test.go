// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"lazystate/verbs/driver"
	"lazystate/verbs/roce/netio"
)

// patience bounds what would hang; it decides nothing else.
const patience = 60 * time.Second

// side is one end of a connection, on the driver's own interface.
type side struct {
	t    testing.TB
	ctx  context.Context // ends when nothing was waited for for long
	dog  *time.Timer
	d    *Device
	pd   driver.PD
	mem  driver.Memory
	mr   driver.MRInfo
	cq   driver.CQ
	qp   driver.QP
	conn driver.Conn
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		check(t, err)
		return v
	}
}

// newSide makes everything but the connection.
func newSide(t testing.TB, d *Device, memory int) *side {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &side{t: t, ctx: ctx, d: d, dog: time.AfterFunc(patience, cancel)}
	t.Cleanup(func() { s.dog.Stop(); cancel() })
	s.pd = must[driver.PD](t)(d.AllocPD())
	s.mem = must[driver.Memory](t)(d.Alloc(memory))
	t.Cleanup(func() { check(t, d.Free(s.mem)) })
	s.mr = must[driver.MRInfo](t)(d.RegMR(s.pd, s.mem, 0x10000, remoteAccess|driver.AccessLocalWrite|driver.AccessMWBind))
	s.cq = must[driver.CQ](t)(d.CreateCQ(1024, 0))
	s.newQP()
	return s
}

func (s *side) newQP() {
	s.t.Helper()
	info := must[driver.QPInfo](s.t)(s.d.CreateQP(s.pd, &driver.QPInitAttr{Type: driver.RC, SendCQ: s.cq, RecvCQ: s.cq,
		Cap: driver.QPCap{MaxSendWR: 256, MaxRecvWR: 256, MaxSendSGE: 4, MaxRecvSGE: 4, MaxInline: 256}}))
	s.qp = info.QP
}

func (s *side) sge(off, n int) []driver.SGE {
	return []driver.SGE{{Addr: s.mr.Addr + uint64(off), Length: uint32(n), LKey: s.mr.LKey}}
}

// op posts one signaled request on n bytes at the same offset of both memories.
func (s *side) op(op driver.Opcode, off, n int, to *side) {
	s.t.Helper()
	s.post(driver.SendWR{Op: op, Flags: driver.SendSignaled, SG: s.sge(off, n), RemoteAddr: to.mr.Addr + uint64(off), RKey: to.mr.RKey})
}

func (s *side) post(wrs ...driver.SendWR) {
	s.t.Helper()
	if n, err := s.d.PostSend(s.qp, wrs); err != nil || n != len(wrs) {
		s.t.Fatalf("posted %d of %d: %v", n, len(wrs), err)
	}
}

func (s *side) recv(off, n int) {
	s.t.Helper()
	_, err := s.d.PostRecv(s.qp, []driver.RecvWR{{ID: uint64(off), SG: s.sge(off, n)}})
	check(s.t, err)
}

// wait returns the next completion.
func (s *side) wait() driver.WC {
	s.t.Helper()
	s.dog.Reset(patience)
	var wc [1]driver.WC
	if _, err := s.d.WaitCQ(s.ctx, s.cq, wc[:]); err != nil {
		s.t.Fatal(err)
	}
	return wc[0]
}

func (s *side) ok() driver.WC {
	s.t.Helper()
	wc := s.wait()
	check(s.t, wc.Err())
	return wc
}

// connect lets a dial b.
func connect(t testing.TB, a, b *side) {
	t.Helper()
	l := must[driver.Listener](t)(b.d.cm.Listen(netip.AddrPort{}, 1))
	defer l.Close()
	accepted := make(chan error, 1)
	go func() {
		c, err := l.Accept(b.ctx)
		if err == nil {
			b.conn = c
			err = c.Accept(b.ctx, b.qp, driver.ConnParam{ResponderResources: 16, InitiatorDepth: 16})
		}
		accepted <- err
	}()
	a.conn = must[driver.Conn](t)(a.d.cm.Resolve(a.ctx, netip.Addr{}, l.Addr()))
	_, err := a.conn.Connect(a.ctx, a.qp, driver.ConnParam{ResponderResources: 16, InitiatorDepth: 16, RetryCount: 7, RNRRetry: 7})
	check(t, err)
	check(t, <-accepted)
}

// loopback opens two devices on addresses of lo, with ports that nobody has.
func loopback(t testing.TB, ca, cb Config) (a, b *Device) {
	t.Helper()
	var ports [2]netio.Port
	for i := range ports {
		local := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(11 + i)}), 0)
		ports[i] = must[netio.Port](t)(netio.ListenUDP(local, netio.UDPOptions{}))
	}
	var ds [2]*Device
	for i, c := range []Config{ca, cb} {
		c.IO, c.PeerPort = ports[i], ports[1-i].Local().Port()
		ds[i] = must[*Device](t)(Open(c))
		t.Cleanup(func() { check(t, ds[i].Close()) })
	}
	return ds[0], ds[1]
}

// sides connects two devices.
func sides(t testing.TB, da, db *Device, memory int) (a, b *side) {
	t.Helper()
	a, b = newSide(t, da, memory), newSide(t, db, memory)
	connect(t, a, b)
	return a, b
}

// hubbed opens two devices on a network in memory, with faults.
func hubbed(t testing.TB, c Config, f netio.Faults) (a, b *Device) {
	t.Helper()
	hub := &netio.Hub{}
	var ds [2]*Device
	for i := range ds {
		c.Port = 4791
		p := must[netio.Port](t)(hub.Port(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, 9, byte(i + 1)}), 4791), true))
		if f != (netio.Faults{}) {
			f.Seed++
			p = must[netio.Port](t)(netio.Bad(p, f))
		}
		c.IO = p
		ds[i] = must[*Device](t)(Open(c))
		t.Cleanup(func() { check(t, ds[i].Close()) })
	}
	return ds[0], ds[1]
}
