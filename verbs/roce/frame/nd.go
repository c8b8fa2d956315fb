// SPDX-License-Identifier: Apache-2.0

package frame

import "net/netip"

// RFC 4861: the two messages of neighbor discovery that matter here.
const (
	ndLen       = 24 // ICMPv6 header, flags, target
	ndOptionLen = 8  // a link-layer address

	ndSolicitation  = 135
	ndAdvertisement = 136

	ndSolicited = 0x40
	ndOverride  = 0x20

	ndHopLimit = 255 // nobody beyond this segment can send it

	optSource = 1
	optTarget = 2
)

var allNodes = netip.MustParseAddr("ff02::1")

type nd struct {
	kind             uint8
	flags            uint8
	to, from         MAC // of the frame
	src, dst, target netip.Addr
	mac              MAC // the option; zero: none
}

// parseND takes what RFC 4861, 7.1.1 and 7.1.2, call valid.
func parseND(f []byte) (nd, bool) {
	if len(f) < ethLen+v6Len+ndLen || be.Uint16(f[12:]) != etherV6 {
		return nd{}, false
	}
	ip := f[ethLen:]
	n := int(be.Uint16(ip[4:]))
	if ip[0]>>4 != 6 || ip[6] != protoICMP || ip[7] != ndHopLimit || n < ndLen || n > len(ip)-v6Len {
		return nd{}, false
	}
	msg := ip[v6Len : v6Len+n]
	q := nd{
		kind: msg[0], flags: msg[4], to: MAC(f[0:6]), from: MAC(f[6:12]),
		src: netip.AddrFrom16([16]byte(ip[8:])), dst: netip.AddrFrom16([16]byte(ip[24:])),
		target: netip.AddrFrom16([16]byte(msg[8:])),
	}
	option := uint8(optTarget)
	if q.kind == ndSolicitation {
		option = optSource
	} else if q.kind != ndAdvertisement {
		return nd{}, false
	}
	if msg[1] != 0 || q.target.IsMulticast() || checksum(pseudoSum(ip, n), msg) != 0 {
		return nd{}, false
	}
	var ok bool
	q.mac, ok = linkLayerOption(msg[ndLen:], option)
	return q, ok
}

// linkLayerOption walks the options; an option of length 0 makes the message
// invalid, as does one that does not end within it.
func linkLayerOption(opts []byte, kind uint8) (mac MAC, ok bool) {
	for len(opts) > 0 {
		if len(opts) < 2 || opts[1] == 0 || int(opts[1])*8 > len(opts) {
			return MAC{}, false
		}
		if opts[0] == kind && opts[1] == 1 {
			mac = MAC(opts[2:8])
		}
		opts = opts[int(opts[1])*8:]
	}
	return mac, true
}

func putND(b []byte, q *nd) int {
	const n = ndLen + ndOptionLen
	putEth(b, q.to, q.from, etherV6)
	ip := b[ethLen : ethLen+v6Len]
	putV6(ip, q.src, q.dst, 0, protoICMP, ndHopLimit, n)
	msg := b[ethLen+v6Len : ethLen+v6Len+n]
	clear(msg)
	msg[0], msg[4] = q.kind, q.flags
	target := q.target.As16()
	copy(msg[8:], target[:])
	msg[ndLen], msg[ndLen+1] = optTarget, 1
	if q.kind == ndSolicitation {
		msg[ndLen] = optSource
	}
	copy(msg[ndLen+2:], q.mac[:])
	be.PutUint16(msg[2:], checksum(pseudoSum(ip, n), msg))
	return ethLen + v6Len + n
}

// pseudoSum is the sum of the pseudo header of an ICMPv6 message of n bytes.
func pseudoSum(ip []byte, n int) uint32 {
	sum := uint32(n) + protoICMP
	for i := 8; i < v6Len; i += 2 {
		sum += uint32(be.Uint16(ip[i:]))
	}
	return sum
}

// solicitedNode returns the group that the holder of a listens to, and the
// group's MAC address (RFC 4291, 2.7.1; RFC 2464, 7).
func solicitedNode(a netip.Addr) (netip.Addr, MAC) {
	b := a.As16()
	group := netip.MustParseAddr("ff02::1:ff00:0").As16()
	copy(group[13:], b[13:])
	return netip.AddrFrom16(group), MAC{0x33, 0x33, 0xff, b[13], b[14], b[15]}
}
