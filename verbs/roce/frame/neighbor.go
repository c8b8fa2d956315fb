// SPDX-License-Identifier: Apache-2.0

package frame

import "net/netip"

// Host is who sits on the segment: a MAC address and the IP addresses that it
// answers for.
type Host struct {
	MAC   MAC
	Addrs []netip.Addr
}

// Has reports whether a is one of the host's addresses.
func (h *Host) Has(a netip.Addr) bool {
	for _, own := range h.Addrs {
		if own == a {
			return true
		}
	}
	return false
}

// MaxNeighbor is the longest question or answer.
const MaxNeighbor = ethLen + v6Len + ndLen + ndOptionLen

// Answer writes the answer to f into b, which has at least MaxNeighbor bytes, and
// returns its length: an ARP reply or a neighbor advertisement. It is 0 if f is
// no question about one of the host's addresses.
func (h *Host) Answer(b, f []byte) int {
	if q, ok := parseARP(f); ok {
		if q.op != arpRequest || !h.Has(q.target) || h.Has(q.sender) {
			return 0
		}
		return putARP(b, &arp{op: arpReply, to: q.from, mac: h.MAC, sender: q.target, targetMAC: q.mac, target: q.sender})
	}
	q, ok := parseND(f)
	if !ok || q.kind != ndSolicitation || !h.Has(q.target) {
		return 0
	}
	a := nd{kind: ndAdvertisement, flags: ndSolicited | ndOverride, to: q.from, from: h.MAC, src: q.target, dst: q.src, target: q.target, mac: h.MAC}
	if q.src.IsUnspecified() { // who asks is choosing an address (RFC 4861, 7.2.4)
		a.flags, a.dst, a.to = ndOverride, allNodes, MAC{0x33, 0x33, 0, 0, 0, 1}
	}
	return putND(b, &a)
}

// Ask writes the question for the MAC address of a into b, which has at least
// MaxNeighbor bytes, and returns its length; 0 if the host has no address of a's
// family.
func (h *Host) Ask(b []byte, a netip.Addr) int {
	own, ok := h.source(a)
	if !ok {
		return 0
	}
	if a.Is4() {
		return putARP(b, &arp{op: arpRequest, to: Broadcast, mac: h.MAC, sender: own, target: a})
	}
	group, mac := solicitedNode(a)
	return putND(b, &nd{kind: ndSolicitation, to: mac, from: h.MAC, src: own, dst: group, target: a, mac: h.MAC})
}

// source returns the own address to ask for a from: of its family and, if there
// is one, of its scope, for who is asked notes what it is asked from.
func (h *Host) source(a netip.Addr) (from netip.Addr, ok bool) {
	for _, own := range h.Addrs {
		if own.Is4() == a.Is4() && (!ok || own.IsLinkLocalUnicast() == a.IsLinkLocalUnicast()) {
			from, ok = own, true
		}
	}
	return from, ok
}

// Neighbor returns who f says has which MAC address: the sender of an ARP packet,
// the target of a neighbor advertisement, the source of a solicitation.
func Neighbor(f []byte) (netip.Addr, MAC, bool) {
	if q, ok := parseARP(f); ok {
		return q.sender, q.mac, !q.sender.IsUnspecified() && usable(q.mac)
	}
	q, ok := parseND(f)
	if !ok || !usable(q.mac) {
		return netip.Addr{}, MAC{}, false
	}
	if q.kind == ndSolicitation {
		return q.src, q.mac, !q.src.IsUnspecified()
	}
	return q.target, q.mac, true
}

// usable: one station's address, no group's and not nobody's.
func usable(m MAC) bool { return m != MAC{} && m[0]&1 == 0 }

// RFC 826 for IPv4 over Ethernet.
const (
	arpLen     = 28
	arpRequest = 1
	arpReply   = 2
)

type arp struct {
	op             uint16
	to, from       MAC // of the frame
	mac, targetMAC MAC
	sender, target netip.Addr
}

func parseARP(f []byte) (arp, bool) {
	if len(f) < ethLen+arpLen || be.Uint16(f[12:]) != etherARP {
		return arp{}, false
	}
	a := f[ethLen:]
	if be.Uint64(a)>>16 != 1<<32|etherV4<<16|6<<8|4 { // Ethernet, IPv4, their lengths
		return arp{}, false
	}
	return arp{
		op: be.Uint16(a[6:]), to: MAC(f[0:6]), from: MAC(f[6:12]),
		mac: MAC(a[8:14]), sender: netip.AddrFrom4([4]byte(a[14:])),
		targetMAC: MAC(a[18:24]), target: netip.AddrFrom4([4]byte(a[24:])),
	}, true
}

func putARP(b []byte, p *arp) int {
	putEth(b, p.to, p.mac, etherARP)
	a := b[ethLen : ethLen+arpLen]
	be.PutUint64(a, 1<<48|etherV4<<32|6<<24|4<<16|uint64(p.op))
	sender, target := p.sender.As4(), p.target.As4()
	copy(a[8:], p.mac[:])
	copy(a[14:], sender[:])
	copy(a[18:], p.targetMAC[:])
	copy(a[24:], target[:])
	return ethLen + arpLen
}
