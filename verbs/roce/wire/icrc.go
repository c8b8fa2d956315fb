// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net/netip"
)

// Flow is what the ICRC of the packets of one direction covers besides the UDP
// payload: addresses and ports (annex A17.3.3). Fragments are neither sent nor
// taken, and what is sent by IPv4 has DF set.
type Flow struct {
	base uint32 // the CRC of the pseudo headers with zero for lengths and ID
	v6   bool
	t    *tables
}

// The headers as the ICRC covers them: eight bytes of ones that stand for
// InfiniBand's link header, IP, UDP; fields that routers change are all ones.
const (
	lrhLen = 8
	v4Len  = lrhLen + 20 + 8
	v6Len  = lrhLen + 40 + 8

	v4Total = lrhLen + 2
	v4ID    = lrhLen + 4
	v4Flags = lrhLen + 6
	v6Plen  = lrhLen + 4
	udpLen  = 4 // from the end

	flagDF = 0x4000
)

// NewFlow returns the flow of packets from src to dst.
func NewFlow(src, dst netip.AddrPort) (Flow, error) {
	s, d := src.Addr().Unmap(), dst.Addr().Unmap()
	if !s.IsValid() || !d.IsValid() || s.Is4() != d.Is4() {
		return Flow{}, fmt.Errorf("flow from %v to %v: addresses are not of one family", src, dst)
	}
	var buf [v6Len]byte
	h := buf[:v4Len]
	if s.Is4() {
		v4Header(h[lrhLen:], s.As4(), d.As4())
	} else {
		h = buf[:]
		v6Header(h[lrhLen:], s.As16(), d.As16())
	}
	copy(h, "\xff\xff\xff\xff\xff\xff\xff\xff")
	udp := h[len(h)-8:]
	be.PutUint16(udp, src.Port())
	be.PutUint16(udp[2:], dst.Port())
	be.PutUint16(udp[6:], 0xffff) // checksum
	return Flow{base: crc32.ChecksumIEEE(h), v6: !s.Is4(), t: theTables()}, nil
}

func v4Header(ip []byte, src, dst [4]byte) {
	ip[0], ip[1] = 0x45, 0xff // type of service
	be.PutUint16(ip[6:], flagDF)
	ip[8], ip[9] = 0xff, 17 // time to live, UDP
	be.PutUint16(ip[10:], 0xffff)
	copy(ip[12:], src[:])
	copy(ip[16:], dst[:])
}

func v6Header(ip []byte, src, dst [16]byte) {
	be.PutUint32(ip, 0x6fffffff) // traffic class, flow label
	ip[6], ip[7] = 17, 0xff      // UDP, hop limit
	copy(ip[8:], src[:])
	copy(ip[24:], dst[:])
}

// Is6 reports whether the flow is IPv6, whose packets have no ID.
func (f *Flow) Is6() bool { return f.v6 }

// sum returns the ICRC of pkt, a UDP payload with room for the ICRC: a
// multiple of four bytes, at most MaxPacket.
func (f *Flow) sum(pkt []byte, id, flags uint16) uint32 {
	crc := f.base ^ f.t.bth4[pkt[4]]
	if f.v6 {
		crc ^= f.t.len6[len(pkt)/4]
	} else {
		crc ^= f.t.len4[len(pkt)/4] ^ f.t.id[0][id>>8] ^ f.t.id[1][id&0xff] ^ f.t.flags[(flags^flagDF)>>8]
	}
	return crc32.Update(crc, crc32.IEEETable, pkt[:len(pkt)-ICRCLen])
}

// Seal writes the ICRC into the last four bytes of pkt. id is the IPv4 ID that
// the packet will have: 0 from an unconnected socket with IP_PMTUDISC_DO, i for
// segment i of a train sent with UDP_SEGMENT.
func (f *Flow) Seal(pkt []byte, id uint16) {
	binary.LittleEndian.PutUint32(pkt[len(pkt)-ICRCLen:], f.sum(pkt, id, flagDF))
}

// Check reports whether the ICRC of a packet is right whose IPv4 header is
// known: its ID, and its fourth 16-bit word (flags and fragment offset). Of an
// IPv6 packet neither is looked at.
func (f *Flow) Check(pkt []byte, id, flags uint16) bool {
	return sane(pkt) && (f.v6 || flags&0x3fff == 0) && f.sum(pkt, id, flags) == stored(pkt)
}

// CheckUnknownID reports whether there is an ID with which the ICRC of a packet
// is right, and which. By IPv6 the check is exact. By IPv4 it takes DF for set,
// and one in 65,536 packets of random bytes passes.
func (f *Flow) CheckUnknownID(pkt []byte) (id uint16, ok bool) {
	if !sane(pkt) {
		return 0, false
	}
	diff := f.sum(pkt, 0, flagDF) ^ stored(pkt)
	if diff == 0 || f.v6 {
		return 0, diff == 0
	}
	return f.t.rewindID(diff, len(pkt))
}

func sane(pkt []byte) bool {
	return len(pkt) >= BTHLen+ICRCLen && len(pkt) <= MaxPacket && len(pkt)&3 == 0
}

func stored(pkt []byte) uint32 { return binary.LittleEndian.Uint32(pkt[len(pkt)-ICRCLen:]) }
