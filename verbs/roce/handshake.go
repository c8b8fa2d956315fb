// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"cmp"
	"fmt"
	"net/netip"

	"lazystate/internal/seqnum"
	"lazystate/verbs/driver"
	"lazystate/verbs/roce/wire"
)

const (
	defaultAckTimeout = 16 // 268 ms: how long a peer may be silent, times the retries
	defaultRNRTimer   = 12 // 0.64 ms, told to a peer that finds no receive
	cmTimeout         = 20 // 4.3 s: what we tell a peer about our own patience
	rejectMTU         = driver.RejectReason(26)
	maxCMRetries      = 15
)

// ask sends the REQ.
func (c *conn) ask(h driver.QP, p driver.ConnParam) error {
	if err := c.use(h, connIdle); err != nil {
		return err
	}
	d := c.m.d
	if p.AckTimeout == 0 {
		p.AckTimeout = defaultAckTimeout
	}
	c.param, c.psn = p, seqnum.NewPSN(random32())
	c.tid = uint64(random32())<<32 | uint64(c.id)
	c.req = wire.REQ{
		LocalCommID: c.id, ServiceID: wire.NewServiceID(wire.PSTCP, c.remote.Port()), LocalCAGUID: d.guid,
		LocalQPN: c.qp.num, ResponderResources: p.ResponderResources, InitiatorDepth: p.InitiatorDepth,
		RemoteCMTimeout: cmTimeout, LocalCMTimeout: cmTimeout, MaxCMRetries: maxCMRetries,
		StartingPSN: c.psn, RetryCount: p.RetryCount, RNRRetryCount: p.RNRRetry,
		PKey: wire.DefaultPKey, PathMTU: d.mtu, SRQ: c.qp.srq != nil,
		Primary: wire.Path{
			LocalLID: 0xffff, RemoteLID: 0xffff, LocalGID: driver.GIDOf(d.port.Local().Addr()), RemoteGID: driver.GIDOf(c.path.peer.Addr()),
			PacketRate: 3, HopLimit: 64, SubnetLocal: true, LocalAckTimeout: p.AckTimeout,
		},
	}
	ip := wire.IPHeader{SrcPort: c.local.Port(), Src: c.local.Addr(), Dst: c.remote.Addr().WithZone("")}
	ip.Encode(&c.req.PrivateData)
	copy(c.req.PrivateData[wire.IPHeaderLen:], p.Private)
	c.state = connREQSent
	c.transmit(c.tid, wire.AttrREQ, &c.req, true, d.now())
	return nil
}

// onREQ takes a request.
func (m *manager) onREQ(h *wire.MADHeader, msg *wire.REQ, from netip.Addr, now int64) {
	d := m.d
	key := peerID{from, msg.LocalCommID}
	if c := m.byPeer[key]; c != nil {
		d.count.CMDuplicates++
		c.askedAgain(now)
		return
	}
	if len(m.conns) >= maxConns {
		d.count.CMDropped++ // who means it asks again
		return
	}
	p, err := d.newPath(from)
	if err != nil {
		return
	}
	c := newConn(m, p)
	c.key, c.peerID, c.tid, c.req, c.peerQPN = key, msg.LocalCommID, h.TID, *msg, msg.LocalQPN
	m.add(c)
	m.byPeer[key] = c
	c.state = connREQReceived
	l, reason := m.listenerFor(c, from)
	if reason != 0 {
		c.refuse(reason, nil, now)
		return
	}
	select {
	case l.queue <- c:
	default:
		c.refuse(driver.RejectNoResources, nil, now)
	}
}

// listenerFor checks a request and finds who it is for.
func (m *manager) listenerFor(c *conn, from netip.Addr) (*listener, driver.RejectReason) {
	r := &c.req
	ip, err := wire.DecodeIPHeader(&r.PrivateData)
	space, port, ok := r.ServiceID.Port()
	l := m.listeners[port]
	switch {
	case !ok || space != wire.PSTCP || l == nil || err != nil:
		return nil, driver.RejectInvalidServiceID
	case r.TransportService != 0:
		return nil, driver.RejectInvalidTransport
	case r.Primary.LocalGID.Addr() != from:
		return nil, driver.RejectUnsupported // the connection would be with somebody else
	case r.PathMTU > m.d.mtu || r.PathMTU.Bytes() == 0:
		return nil, rejectMTU
	case m.stale(c):
		return nil, driver.RejectStaleConn
	}
	c.local = l.addr
	c.remote = netip.AddrPortFrom(ip.Src, ip.SrcPort)
	c.param = driver.ConnParam{
		Private: privateOf(r.PrivateData[wire.IPHeaderLen:]), ResponderResources: r.ResponderResources, InitiatorDepth: r.InitiatorDepth,
		RetryCount: r.RetryCount, RNRRetry: r.RNRRetryCount, AckTimeout: r.Primary.LocalAckTimeout,
	}
	return l, 0
}

// stale finds an older connection with the same queue pair of the peer: it has
// lost that one, and ours is disconnected (12.9.8.3.1).
func (m *manager) stale(c *conn) bool {
	o := m.made[c.farEnd()]
	if o == nil || o.state != connEstablished {
		return false
	}
	o.disconnect(m.d.now())
	return true
}

// askedAgain answers a repetition of the REQ. A refusal that was lost is remembered
// as long as the peer asks: it would be a new request else, whom nobody expects.
func (c *conn) askedAgain(now int64) {
	if c.state == connREQReceived {
		mra := &wire.MRA{CommIDs: c.ids(), ServiceTimeout: cmTimeout + 2}
		c.m.send(&c.path, c.tid, wire.AttrMRA, mra)
		return
	}
	if c.state == connTimewait && c.lastAttr == wire.AttrREJ {
		c.due = now + timewait
	}
	if c.lastAttr == wire.AttrREP && c.state == connREPSent || c.lastAttr == wire.AttrREJ {
		c.repeat()
	}
}

func (c *conn) ids() wire.CommIDs { return wire.CommIDs{LocalCommID: c.id, RemoteCommID: c.peerID} }

// agree sends the REP. The queue pair must be ready to receive first: the peer
// may send as soon as it has the REP.
func (c *conn) agree(h driver.QP, p driver.ConnParam) error {
	if err := c.use(h, connREQReceived); err != nil {
		return err
	}
	r, d := &c.req, c.m.d
	c.psn = seqnum.NewPSN(random32())
	if err := c.ready(r.PathMTU, c.psn, p.ResponderResources); err != nil {
		c.refuse(driver.RejectNoQP, nil, d.now())
		return err
	}
	c.reply = driver.ConnParam{
		InitiatorDepth: min(p.InitiatorDepth, r.ResponderResources), RetryCount: r.RetryCount, RNRRetry: r.RNRRetryCount,
		AckTimeout: cmp.Or(p.AckTimeout, r.Primary.LocalAckTimeout),
	}
	rep := &wire.REP{
		CommIDs: c.ids(), LocalQPN: c.qp.num, StartingPSN: c.psn, ResponderResources: p.ResponderResources, InitiatorDepth: p.InitiatorDepth,
		TargetAckDelay: 15, RNRRetryCount: p.RNRRetry, SRQ: c.qp.srq != nil, LocalCAGUID: d.guid,
	}
	copy(rep.PrivateData[:], p.Private)
	c.state = connREPSent
	c.transmit(c.tid, wire.AttrREP, rep, true, d.now())
	return nil
}

// ready moves the queue pair to RTR: the peer's packets begin at psn.
func (c *conn) ready(mtu driver.MTU, psn seqnum.PSN, answers uint8) error {
	a := driver.QPAttr{
		State: driver.QPRTR, PathMTU: mtu, DestQPN: c.peerQPN, RQPSN: uint32(psn), MinRNRTimer: defaultRNRTimer,
		MaxDestRdAtomic: min(answers, maxRdAtomic), AV: driver.AHAttr{DGID: driver.GIDOf(c.path.peer.Addr()), Port: 1, HopLimit: 64},
	}
	return c.qp.modify(&a, driver.QPMaskState|driver.QPMaskPathMTU|driver.QPMaskDestQPN|driver.QPMaskRQPSN|
		driver.QPMaskMinRNRTimer|driver.QPMaskMaxDestRdAtomic|driver.QPMaskAV)
}

// start moves it to RTS: our packets begin at psn.
func (c *conn) start(psn seqnum.PSN, p *driver.ConnParam) error {
	a := driver.QPAttr{
		State: driver.QPRTS, SQPSN: uint32(psn), Timeout: p.AckTimeout, RetryCount: p.RetryCount, RNRRetry: p.RNRRetry,
		MaxRdAtomic: min(p.InitiatorDepth, maxRdAtomic),
	}
	return c.qp.modify(&a, driver.QPMaskState|driver.QPMaskSQPSN|driver.QPMaskTimeout|driver.QPMaskRetry|driver.QPMaskRNRRetry|driver.QPMaskMaxRdAtomic)
}

// onREP takes the passive side's consent.
func (c *conn) onREP(h *wire.MADHeader, msg *wire.REP, now int64) {
	switch {
	case c.state == connEstablished && c.lastAttr == wire.AttrRTU:
		c.m.d.count.CMDuplicates++
		c.repeat()
		return
	case c.state != connREQSent:
		return
	}
	c.peerID, c.peerQPN = msg.LocalCommID, msg.LocalQPN
	p := c.param
	p.InitiatorDepth, p.RNRRetry = min(p.InitiatorDepth, msg.ResponderResources), msg.RNRRetryCount
	err := c.ready(c.req.PathMTU, c.psn, c.param.ResponderResources)
	if err == nil {
		err = c.start(msg.StartingPSN, &p)
	}
	if err != nil {
		c.tell(fmt.Errorf("connect with %v: %w", c.remote, err))
		c.refuse(driver.RejectNoQP, nil, now)
		return
	}
	c.reply = driver.ConnParam{
		Private: privateOf(msg.PrivateData[:]), ResponderResources: msg.ResponderResources, InitiatorDepth: msg.InitiatorDepth,
		RetryCount: p.RetryCount, RNRRetry: msg.RNRRetryCount, AckTimeout: p.AckTimeout,
	}
	c.made()
	c.transmit(h.TID, wire.AttrRTU, &wire.RTU{CommIDs: c.ids()}, false, now)
	c.tell(nil)
}

// established is the RTU's arrival, or that of the first packet, which proves
// as much.
func (c *conn) established(now int64) {
	if c.state != connREPSent {
		return
	}
	err := c.start(c.req.StartingPSN, &c.reply)
	if err != nil {
		c.tell(err)
		c.refuse(driver.RejectNoQP, nil, now)
		return
	}
	c.made()
	c.due = 0
	c.tell(nil)
}

// made notes that the connection stands.
func (c *conn) made() {
	c.state = connEstablished
	c.m.made[c.farEnd()] = c
}

// established tells the connection manager that the peer sends already.
func (q *queuePair) established(now int64) {
	if q.conn != nil {
		q.conn.established(now)
	}
}

// onMRA waits longer for the answer.
func (c *conn) onMRA(msg *wire.MRA, now int64) {
	if c.state == connREQSent || c.state == connREPSent {
		c.tries = 1
		c.due = now + min(int64(wire.Timeout(msg.ServiceTimeout)), maxMRA)
		c.m.d.set(&c.alarm, c)
	}
}

// onREJ takes a refusal. One that only the MTU was too large for is asked again
// with the MTU that the peer names.
func (c *conn) onREJ(msg *wire.REJ, now int64) {
	switch c.state {
	case connREQSent, connREPSent, connREQReceived:
	case connEstablished: // the peer has not heard that it is, and has given it up
		c.gone(now)
		return
	default:
		return
	}
	if msg.Reason == rejectMTU && c.state == connREQSent && c.req.PathMTU > driver.MTU256 {
		mtu := c.req.PathMTU - 1
		if msg.InfoLength > 0 {
			mtu = min(mtu, max(driver.MTU256, driver.MTU(msg.ARI[0])))
		}
		c.req.PathMTU = mtu
		c.anew()
		c.transmit(c.tid, wire.AttrREQ, &c.req, true, now)
		return
	}
	c.tell(&driver.RejectError{Reason: msg.Reason, Private: privateOf(msg.PrivateData[:])})
	c.finish()
	c.wait(now)
}

// anew gives a request that was refused another name: the peer remembers the
// old one.
func (c *conn) anew() {
	delete(c.m.conns, c.id)
	c.id = 0
	c.m.add(c)
	c.req.LocalCommID = c.id
	c.tid = uint64(random32())<<32 | uint64(c.id)
}

// refuse sends a REJ and ends the handshake.
func (c *conn) refuse(reason driver.RejectReason, private []byte, now int64) {
	about := wire.AboutREQ
	switch c.state {
	case connREQReceived:
	case connREQSent, connREPSent:
		if c.state == connREQSent && reason != driver.RejectTimeout {
			about = wire.AboutREP
		}
	default:
		return
	}
	rej := &wire.REJ{CommIDs: c.ids(), MessageRejected: about, Reason: reason}
	if reason == rejectMTU {
		rej.InfoLength, rej.ARI[0] = 1, uint8(c.m.d.mtu)
	}
	copy(rej.PrivateData[:], private)
	c.transmit(c.tid, wire.AttrREJ, rej, false, now)
	c.finish()
	c.wait(now)
}

// disconnect begins the end of a connection.
func (c *conn) disconnect(now int64) {
	switch c.state {
	case connEstablished:
		c.state = connDREQSent
		c.tid = uint64(random32())<<32 | uint64(c.id)
		c.transmit(c.tid, wire.AttrDREQ, &wire.DREQ{CommIDs: c.ids(), RemoteQPN: c.peerQPN}, true, now)
		c.finish()
	case connDREQSent, connTimewait:
	default:
		c.forget()
	}
}

// onDREQ takes the peer's end of a connection. One that is not known has ended
// before, and its DREP was lost.
func (m *manager) onDREQ(h *wire.MADHeader, msg *wire.DREQ, from netip.Addr, now int64) {
	c := m.conns[msg.RemoteCommID]
	switch {
	case c == nil:
		if p, err := m.d.newPath(from); err == nil {
			m.send(&p, h.TID, wire.AttrDREP, &wire.DREP{CommIDs: wire.CommIDs{LocalCommID: msg.RemoteCommID, RemoteCommID: msg.LocalCommID}})
		}
		return
	case c.path.peer.Addr() != from || c.qp != nil && msg.RemoteQPN != c.qp.num:
		m.d.count.BadSource++
		return
	case c.state < connREPSent:
		return
	}
	c.transmit(h.TID, wire.AttrDREP, &wire.DREP{CommIDs: c.ids()}, false, now)
	c.gone(now)
}

// gone is the connection's end, by a DREP or after a DREQ.
func (c *conn) gone(now int64) {
	c.tell(driver.ErrClosed)
	c.finish()
	c.end()
	c.wait(now) // also if it does already: the answer to a repetition has stopped that timer
}
