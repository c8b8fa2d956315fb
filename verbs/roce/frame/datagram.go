// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// Why bytes are no frame that is read here.
var (
	ErrTruncated = errors.New("frame is shorter than its headers say")
	ErrOther     = errors.New("frame is not UDP over IPv4 or IPv6")
	ErrChecksum  = errors.New("IPv4 header checksum is wrong")
	ErrOptions   = errors.New("IPv4 header has options")
	ErrFragment  = errors.New("datagram is a fragment")
)

// MAC is an Ethernet address.
type MAC [6]byte

// Broadcast is everybody.
var Broadcast = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Sizes of headers.
const (
	ethLen = 14
	v4Len  = 20
	v6Len  = 40
	udpLen = 8

	MaxHeader = ethLen + v6Len + udpLen
)

const (
	etherV4  = 0x0800
	etherARP = 0x0806
	etherV6  = 0x86dd

	protoUDP  = 17
	protoICMP = 58 // version 6

	hopLimit = 64
	flagDF   = 0x4000
)

var be = binary.BigEndian

// Datagram is a UDP datagram in an Ethernet frame.
type Datagram struct {
	SrcMAC, DstMAC MAC
	Src, Dst       netip.AddrPort
	TrafficClass   uint8  // type of service; ECN in the low two bits
	ID, Flags      uint16 // of IPv4: identification; flags and fragment offset, which Parse takes 0x4000 or 0 of
	Payload        []byte // a part of the frame
}

// Parse takes a frame apart. Of another protocol it is ErrOther; the caller
// may then ask Host.Answer and Neighbor.
func (d *Datagram) Parse(f []byte) error {
	if len(f) < ethLen {
		return ErrTruncated
	}
	d.DstMAC, d.SrcMAC = MAC(f[0:6]), MAC(f[6:12])
	switch be.Uint16(f[12:]) {
	case etherV4:
		return d.parseV4(f[ethLen:])
	case etherV6:
		return d.parseV6(f[ethLen:])
	}
	return ErrOther
}

func (d *Datagram) parseV4(ip []byte) error {
	if len(ip) < v4Len {
		return ErrTruncated
	}
	total := int(be.Uint16(ip[2:]))
	switch {
	case ip[0]>>4 != 4 || ip[9] != protoUDP:
		return ErrOther
	case ip[0] != 0x45:
		return ErrOptions
	case total < v4Len || total > len(ip):
		return ErrTruncated
	case checksum(0, ip[:v4Len]) != 0:
		return ErrChecksum
	}
	d.TrafficClass = ip[1]
	d.ID, d.Flags = be.Uint16(ip[4:]), be.Uint16(ip[6:])
	if d.Flags&^flagDF != 0 {
		return ErrFragment
	}
	return d.parseUDP(netip.AddrFrom4([4]byte(ip[12:])), netip.AddrFrom4([4]byte(ip[16:])), ip[v4Len:total])
}

func (d *Datagram) parseV6(ip []byte) error {
	if len(ip) < v6Len {
		return ErrTruncated
	}
	end := v6Len + int(be.Uint16(ip[4:]))
	switch {
	case ip[0]>>4 != 6 || ip[6] != protoUDP: // extension headers too: rxe sends none
		return ErrOther
	case end > len(ip):
		return ErrTruncated
	}
	d.TrafficClass = uint8(be.Uint16(ip) >> 4)
	d.ID, d.Flags = 0, 0
	return d.parseUDP(netip.AddrFrom16([16]byte(ip[8:])), netip.AddrFrom16([16]byte(ip[24:])), ip[v6Len:end])
}

func (d *Datagram) parseUDP(src, dst netip.Addr, udp []byte) error {
	// The lengths of IP and UDP are both in the ICRC: they must say the same.
	if len(udp) < udpLen || int(be.Uint16(udp[4:])) != len(udp) {
		return ErrTruncated
	}
	d.Src = netip.AddrPortFrom(src, be.Uint16(udp[0:]))
	d.Dst = netip.AddrPortFrom(dst, be.Uint16(udp[2:]))
	d.Payload = udp[udpLen:]
	return nil
}

// PutHeader writes the headers for a payload of that many bytes into b, which
// has at least MaxHeader bytes, and returns their length. Src and Dst are of one
// family; DF is set.
func (d *Datagram) PutHeader(b []byte, payload int) int {
	src, dst := d.Src.Addr().Unmap(), d.Dst.Addr().Unmap()
	n := ethLen + v4Len
	if src.Is4() && dst.Is4() {
		putEth(b, d.DstMAC, d.SrcMAC, etherV4)
		d.putV4(b[ethLen:n], src.As4(), dst.As4(), payload)
	} else {
		n = ethLen + v6Len
		putEth(b, d.DstMAC, d.SrcMAC, etherV6)
		putV6(b[ethLen:n], src, dst, d.TrafficClass, protoUDP, hopLimit, payload+udpLen)
	}
	udp := b[n : n+udpLen]
	be.PutUint16(udp[0:], d.Src.Port())
	be.PutUint16(udp[2:], d.Dst.Port())
	be.PutUint16(udp[4:], uint16(udpLen+payload))
	be.PutUint16(udp[6:], 0)
	return n + udpLen
}

func putEth(b []byte, dst, src MAC, ether uint16) {
	copy(b[0:6], dst[:])
	copy(b[6:12], src[:])
	be.PutUint16(b[12:], ether)
}

func (d *Datagram) putV4(ip []byte, src, dst [4]byte, payload int) {
	ip[0], ip[1] = 0x45, d.TrafficClass
	be.PutUint16(ip[2:], uint16(v4Len+udpLen+payload))
	be.PutUint16(ip[4:], d.ID)
	be.PutUint16(ip[6:], flagDF)
	ip[8], ip[9] = hopLimit, protoUDP
	be.PutUint16(ip[10:], 0)
	copy(ip[12:], src[:])
	copy(ip[16:], dst[:])
	be.PutUint16(ip[10:], checksum(0, ip))
}

func putV6(ip []byte, src, dst netip.Addr, class uint8, next, hops uint8, payload int) {
	s, d := src.As16(), dst.As16()
	be.PutUint32(ip, 6<<28|uint32(class)<<20)
	be.PutUint16(ip[4:], uint16(payload))
	ip[6], ip[7] = next, hops
	copy(ip[8:], s[:])
	copy(ip[24:], d[:])
}

// checksum is the internet checksum of b (RFC 1071), begun with the sum of a
// pseudo header.
func checksum(sum uint32, b []byte) uint16 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(be.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
