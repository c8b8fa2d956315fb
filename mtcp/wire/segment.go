// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"lazystate/internal/seqnum"
)

// Flags of a TCP header.
type Flags uint8

// The flags there are (RFC 9293, RFC 3168).
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

func (f Flags) String() string {
	var names []string
	for i, n := range [...]string{"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"} {
		if f&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return strings.Join(names, "+")
}

// Segment is a TCP segment with the addresses of its IP header.
type Segment struct {
	Src, Dst netip.AddrPort
	Seq, Ack seqnum.Value
	Flags    Flags
	Window   uint16 // as it stands in the header
	Options  []byte // without padding when sent, with it when received
	Payload  []byte
}

// Migration returns the segment's option of M-TCP, nil without one that can be
// understood.
func (s Segment) Migration() Option {
	o, err := Parse(s.Options)
	if err != nil {
		return nil
	}
	return o
}

const (
	v4Len  = 20
	v6Len  = 40
	tcpLen = 20
	tcp    = 6 // the protocol's number
)

// Append puts the segment's IP packet behind b.
func (s Segment) Append(b []byte) ([]byte, error) {
	src, dst := s.Src.Addr().Unmap(), s.Dst.Addr().Unmap()
	opts := (len(s.Options) + 3) &^ 3
	total := tcpLen + opts + len(s.Payload)
	if !src.IsValid() || src.Is4() != dst.Is4() {
		return b, fmt.Errorf("segment from %s to %s: not of one family", s.Src, s.Dst)
	}
	if opts > MaxLen || total+v4Len > 0xffff {
		return b, fmt.Errorf("segment with %d bytes of options and %d of payload", len(s.Options), len(s.Payload))
	}
	b = appendIP(b, src, dst, total)
	start := len(b)
	b = binary.BigEndian.AppendUint16(b, s.Src.Port())
	b = binary.BigEndian.AppendUint16(b, s.Dst.Port())
	b = binary.BigEndian.AppendUint32(b, uint32(s.Seq))
	b = binary.BigEndian.AppendUint32(b, uint32(s.Ack))
	b = append(b, byte(tcpLen+opts)<<2, byte(s.Flags))
	b = binary.BigEndian.AppendUint16(b, s.Window)
	b = append(b, 0, 0, 0, 0) // checksum, urgent pointer
	b = append(b, s.Options...)
	for len(b) < start+tcpLen+opts {
		b = append(b, 1) // no operation
	}
	b = append(b, s.Payload...)
	binary.BigEndian.PutUint16(b[start+16:], checksum(pseudo(src, dst, total), b[start:]))
	return b, nil
}

// appendIP writes a header like the kernel's own for TCP: not to be fragmented.
func appendIP(b []byte, src, dst netip.Addr, payload int) []byte {
	if !src.Is4() {
		b = append(b, 0x60, 0, 0, 0, byte(payload>>8), byte(payload), tcp, 64)
		return append(append(b, src.AsSlice()...), dst.AsSlice()...)
	}
	start := len(b)
	b = append(b, 0x45, 0, byte((payload+v4Len)>>8), byte(payload+v4Len), 0, 0, 0x40, 0, 64, tcp, 0, 0)
	b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
	binary.BigEndian.PutUint16(b[start+10:], checksum(0, b[start:]))
	return b
}

// pseudo is the sum over the pseudo header.
func pseudo(src, dst netip.Addr, length int) uint32 {
	return sum(sum(uint32(tcp)+uint32(length), src.AsSlice()), dst.AsSlice())
}

func sum(s uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func checksum(s uint32, b []byte) uint16 {
	for s = sum(s, b); s > 0xffff; {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}

// ParseSegment reads an IP packet that holds a whole TCP segment. Options and
// Payload are parts of packet.
func ParseSegment(packet []byte) (Segment, error) {
	s, t, err := parseSegment(packet)
	if err == nil && checksum(pseudo(s.Src.Addr(), s.Dst.Addr(), len(t)), t) != 0 {
		return Segment{}, &MalformedError{"TCP header", "checksum"}
	}
	return s, err
}

// ParseOffloaded reads one whose checksum is left to a device, as the kernel
// hands segments over that it has merged or has not divided yet.
func ParseOffloaded(packet []byte) (Segment, error) {
	s, _, err := parseSegment(packet)
	return s, err
}

// parseSegment returns a segment and its TCP part, with the checksum unseen.
func parseSegment(packet []byte) (Segment, []byte, error) {
	src, dst, t, err := splitIP(packet)
	if err != nil {
		return Segment{}, nil, err
	}
	if len(t) < tcpLen || int(t[12]>>4)*4 < tcpLen || int(t[12]>>4)*4 > len(t) {
		return Segment{}, nil, &MalformedError{"TCP header", fmt.Sprintf("%d bytes are there", len(t))}
	}
	off := int(t[12]>>4) * 4
	return Segment{
		Src: netip.AddrPortFrom(src, binary.BigEndian.Uint16(t)), Dst: netip.AddrPortFrom(dst, binary.BigEndian.Uint16(t[2:])),
		Seq: number(t[4:]), Ack: number(t[8:]), Flags: Flags(t[13]), Window: binary.BigEndian.Uint16(t[14:]),
		Options: t[tcpLen:off:off], Payload: t[off:],
	}, t, nil
}

// splitIP returns the addresses and what lies behind the IP header. Fragments
// and extension headers are no business of ours.
func splitIP(p []byte) (src, dst netip.Addr, payload []byte, err error) {
	bad := func(why string) error { return &MalformedError{"IP header", why} }
	switch {
	case len(p) >= v4Len && p[0]>>4 == 4:
		head, total := int(p[0]&15)*4, int(binary.BigEndian.Uint16(p[2:]))
		if head < v4Len || total < head || total > len(p) {
			return src, dst, nil, bad(fmt.Sprintf("header %d, packet %d, there are %d bytes", head, total, len(p)))
		}
		if p[9] != tcp || binary.BigEndian.Uint16(p[6:])&0x3fff != 0 {
			return src, dst, nil, bad("not a whole TCP segment")
		}
		if checksum(0, p[:head]) != 0 {
			return src, dst, nil, bad("checksum")
		}
		return netip.AddrFrom4([4]byte(p[12:])), netip.AddrFrom4([4]byte(p[16:])), p[head:total], nil
	case len(p) >= v6Len && p[0]>>4 == 6:
		total := v6Len + int(binary.BigEndian.Uint16(p[4:]))
		if total > len(p) || p[6] != tcp {
			return src, dst, nil, bad("not a whole TCP segment")
		}
		src, dst = netip.AddrFrom16([16]byte(p[8:])), netip.AddrFrom16([16]byte(p[24:]))
		if src.Is4In6() || dst.Is4In6() {
			return src, dst, nil, bad("an IPv4 address in IPv6's clothes")
		}
		return src, dst, p[v6Len:total], nil
	}
	return src, dst, nil, bad(fmt.Sprintf("%d bytes of neither version", len(p)))
}
