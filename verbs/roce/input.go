// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"net/netip"

	"lazystate/verbs/driver"
	"lazystate/verbs/roce/netio"
	"lazystate/verbs/roce/wire"
)

// input takes what a port received apart into packets.
func (d *Device) input(dg *netio.Datagram, now int64) {
	data, seg := dg.Data, dg.Segment
	if seg <= 0 {
		seg = len(data)
	}
	for len(data) > 0 {
		n := min(seg, len(data))
		d.packet(dg, data[:n:n], now)
		data = data[n:]
		dg.ID++ // as the kernel that cuts a train does
	}
}

// packet finds who a packet is for, and drops what is malformed, from a stranger,
// or damaged. Nothing of a packet is believed before its checksum is right.
func (d *Device) packet(dg *netio.Datagram, pkt []byte, now int64) {
	p := &d.in
	if err := p.Parse(pkt); err != nil {
		d.malformed(err)
		return
	}
	if p.DestQP == wire.GSIQPN {
		d.gsi(dg, pkt, p, now)
		return
	}
	q := d.qps[p.DestQP]
	switch {
	case q == nil || p.Opcode.Is(wire.PropDETH) != (q.typ == driver.UD):
		d.count.NoQP++
	case p.PKey&0x7fff != wire.DefaultPKey&0x7fff:
		d.count.BadPKey++
	case q.typ == driver.UD:
		d.datagram(q, dg, pkt, p)
	case dg.Peer.Addr() != q.path.peer.Addr():
		d.count.BadSource++
	case !q.path.check(d, dg, pkt):
		d.count.ICRCErrors++
	case p.Opcode == wire.OpCNP:
	case p.Opcode.Is(wire.PropResponse):
		q.response(p, now)
	default:
		q.request(p, now)
	}
}

func (d *Device) malformed(err error) {
	if m, ok := err.(wire.Malformed); ok && m < wire.NumMalformed {
		d.count.Malformed[m]++
	}
}

// check reports whether the ICRC of a packet from the path's peer is right.
func (p *path) check(d *Device, dg *netio.Datagram, pkt []byte) bool {
	if dg.Peer != p.from {
		if !p.cameFrom(dg.Peer, d.port.Local()) {
			return false
		}
	}
	if d.exact {
		return p.in.Check(pkt, dg.ID, dg.Flags)
	}
	_, ok := p.in.CheckUnknownID(pkt)
	return ok
}

// cameFrom notes where the peer's packets come from: the port is of its choice.
func (p *path) cameFrom(from, local netip.AddrPort) bool {
	in, err := wire.NewFlow(from, local)
	if err != nil {
		return false
	}
	p.from, p.in = from, in
	return true
}

func (d *Device) newPath(to netip.Addr) (path, error) {
	peer := netip.AddrPortFrom(to.Unmap().WithZone(""), d.peerPort)
	out, err := wire.NewFlow(d.port.Local(), peer)
	return path{peer: peer, out: out}, err
}
