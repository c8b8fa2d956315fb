// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"lazystate/verbs/driver"
	"lazystate/verbs/roce/netio"
	"lazystate/verbs/roce/wire"
)

// manager is the device's communication manager: chapter 12 of the
// specification, over the datagrams of queue pair 1. Its state is the engine's.
type manager struct {
	d         *Device
	listeners map[uint16]*listener
	conns     map[uint32]*conn // by our communication identifier
	byPeer    map[peerID]*conn // by the peer's, of those that it began
	made      map[farEnd]*conn // by the peer's queue pair, of those that stand or stood
}

// peerID is what names a request for the peer's side.
type peerID struct {
	addr netip.Addr
	comm uint32
}

// farEnd is a queue pair of a peer's.
type farEnd struct {
	addr netip.Addr
	qpn  uint32
}

func (c *conn) farEnd() farEnd { return farEnd{c.path.peer.Addr(), c.peerQPN} }

const (
	maxConns      = maxQP                         // requests are dropped beyond: whoever can send packets can ask
	madFirstRetry = int64(200 * time.Millisecond) // then twice as long each time
	madMaxRetry   = int64(2 * time.Second)
	madTries      = 8
	dreqTries     = 5
	maxMRA        = int64(time.Minute)     // that a peer may ask us to wait
	timewait      = int64(2 * time.Second) // in which late repetitions are still answered
)

func newManager(d *Device) *manager {
	return &manager{d: d, listeners: map[uint16]*listener{}, conns: map[uint32]*conn{}, byPeer: map[peerID]*conn{}, made: map[farEnd]*conn{}}
}

func (d *Device) CM() (driver.CM, error) { return d.cm, nil }

// gsi takes a datagram to queue pair 1.
func (d *Device) gsi(dg *netio.Datagram, pkt []byte, p *wire.Packet, now int64) {
	var way path
	switch {
	case p.Opcode != wire.OpUDSendOnly:
		d.count.NoQP++
		return
	case !way.check(d, dg, pkt):
		d.count.ICRCErrors++
		return
	case p.DETH.QKey != wire.GSIQKey:
		d.count.BadQKey++
		return
	}
	h, data, err := wire.ParseMAD(p.Payload)
	if err != nil {
		d.count.CMMalformed++
		return
	}
	d.count.CMReceived++
	d.cm.input(&h, data, dg.Peer.Addr(), now)
}

// input hands a message to whom it is for.
func (m *manager) input(h *wire.MADHeader, data *wire.CMData, from netip.Addr, now int64) {
	switch h.Attr {
	case wire.AttrREQ:
		var msg wire.REQ
		msg.Decode(data)
		m.onREQ(h, &msg, from, now)
	case wire.AttrMRA:
		var msg wire.MRA
		msg.Decode(data)
		if c := m.find(msg.CommIDs, from); c != nil {
			c.onMRA(&msg, now)
		}
	case wire.AttrREJ:
		var msg wire.REJ
		msg.Decode(data)
		if c := m.find(msg.CommIDs, from); c != nil {
			c.onREJ(&msg, now)
		}
	case wire.AttrREP:
		var msg wire.REP
		msg.Decode(data)
		if c := m.find(msg.CommIDs, from); c != nil {
			c.onREP(h, &msg, now)
		}
	case wire.AttrRTU:
		var msg wire.RTU
		msg.Decode(data)
		if c := m.find(msg.CommIDs, from); c != nil {
			c.established(now)
		}
	case wire.AttrDREQ:
		var msg wire.DREQ
		msg.Decode(data)
		m.onDREQ(h, &msg, from, now)
	case wire.AttrDREP:
		var msg wire.DREP
		msg.Decode(data)
		if c := m.find(msg.CommIDs, from); c != nil && c.state == connDREQSent {
			c.gone(now)
		}
	default:
		m.d.count.CMMalformed++
	}
}

// find returns the connection that a message is for; from must be its peer.
func (m *manager) find(ids wire.CommIDs, from netip.Addr) *conn {
	c := m.conns[ids.RemoteCommID]
	if c == nil && ids.RemoteCommID == 0 {
		c = m.byPeer[peerID{from, ids.LocalCommID}] // a REJ of who gave up before our first answer
	}
	if c == nil || c.path.peer.Addr() != from {
		m.d.count.BadSource++
		return nil
	}
	return c
}

// message is any of the communication manager's.
type encoder interface{ Encode(*wire.CMData) }

// send sends one message.
func (m *manager) send(to *path, tid uint64, attr wire.Attr, msg encoder) {
	d := m.d
	p := &d.outPacket
	p.BTH = wire.BTH{Opcode: wire.OpUDSendOnly, MigReq: true, PKey: wire.DefaultPKey, DestQP: wire.GSIQPN, PSN: d.gsiPSN}
	p.DETH = wire.DETH{QKey: wire.GSIQKey, SrcQP: wire.GSIQPN}
	d.gsiPSN = d.gsiPSN.Add(1)
	b := d.tx.begin(to, wire.Len(wire.OpUDSendOnly, wire.MADLen))
	head := p.PutHeader(b, wire.MADLen)
	msg.Encode(wire.PutMAD(b[head:], wire.MADHeader{TID: tid, Attr: attr}))
	d.tx.end()
	d.count.CMSent++
}

// listener waits for requests at a port.
type listener struct {
	m     *manager
	addr  netip.AddrPort
	queue chan *conn
	done  chan struct{}
}

// Listen waits at a port of the device's address; port 0 is a free one.
func (m *manager) Listen(local netip.AddrPort, backlog int) (driver.Listener, error) {
	d := m.d
	d.mu.Lock()
	defer d.mu.Unlock()
	own := d.port.Local().Addr()
	if a := local.Addr(); a.IsValid() && !a.IsUnspecified() && a.Unmap().WithZone("") != own {
		return nil, fmt.Errorf("listen at %v: the device has %v: %w", local, own, driver.ErrInvalid)
	}
	if d.closed {
		return nil, driver.ErrClosed
	}
	port := local.Port()
	for port == 0 || local.Port() == 0 && m.listeners[port] != nil {
		port = uint16(random32() | 0xc000)
	}
	if m.listeners[port] != nil {
		return nil, fmt.Errorf("listen at %v: port is taken: %w", local, driver.ErrInvalid)
	}
	l := &listener{m: m, addr: netip.AddrPortFrom(own, port), queue: make(chan *conn, max(1, backlog)), done: make(chan struct{})}
	m.listeners[port] = l
	return l, nil
}

func (l *listener) Addr() netip.AddrPort { return l.addr }

// Accept returns the next request that its sender has not given up.
func (l *listener) Accept(ctx context.Context) (driver.Conn, error) {
	for {
		select {
		case c := <-l.queue:
			if c.alive() {
				return c, nil
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-l.done:
			return nil, driver.ErrClosed
		}
	}
}

// Close refuses who waits and who will come.
func (l *listener) Close() error {
	d := l.m.d
	d.mu.Lock()
	defer d.mu.Unlock()
	l.shut()
	d.tx.flush()
	return nil
}

func (l *listener) shut() {
	if l.m.listeners[l.addr.Port()] != l {
		return
	}
	delete(l.m.listeners, l.addr.Port())
	close(l.done)
	for {
		select {
		case c := <-l.queue:
			c.refuse(driver.RejectInvalidServiceID, nil, l.m.d.now())
		default:
			return
		}
	}
}

// Resolve prepares a connection: over IP the kernel knows the way.
func (m *manager) Resolve(_ context.Context, local netip.Addr, remote netip.AddrPort) (driver.Conn, error) {
	d := m.d
	own := d.port.Local().Addr()
	if local.IsValid() && !local.IsUnspecified() && local.Unmap().WithZone("") != own {
		return nil, fmt.Errorf("resolve %v from %v: the device has %v: %w", remote, local, own, driver.ErrInvalid)
	}
	p, err := d.newPath(remote.Addr())
	if err != nil {
		return nil, fmt.Errorf("resolve %v: %w: %w", remote, err, driver.ErrInvalid)
	}
	c := newConn(m, p)
	c.local = netip.AddrPortFrom(own, uint16(random32()|0x8000))
	c.remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, driver.ErrClosed
	}
	m.add(c)
	return c, nil
}

// add gives a connection its identifier.
func (m *manager) add(c *conn) {
	for c.id == 0 || m.conns[c.id] != nil {
		c.id = random32()
	}
	m.conns[c.id] = c
}

// close refuses and ends everything.
func (m *manager) close() {
	for _, l := range m.listeners {
		l.shut()
	}
	for _, c := range m.conns {
		c.refuse(driver.RejectConsumer, nil, m.d.now())
		c.disconnect(m.d.now())
	}
}

// end drops what close has begun to end: whoever waits for an answer gets none.
func (m *manager) end() {
	for _, c := range m.conns {
		c.forget()
	}
}

// disconnecting reports whether a DREP is waited for.
func (m *manager) disconnecting() bool {
	for _, c := range m.conns {
		if c.state == connDREQSent {
			return true
		}
	}
	return false
}
