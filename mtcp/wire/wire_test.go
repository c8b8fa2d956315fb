// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"pgregory.net/rapid"

	"lazystate/internal/seqnum"
)

var compare = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })

func drawAddr(t *rapid.T, v6 bool, name string) netip.AddrPort {
	n := 4
	if v6 {
		n = 16
	}
	b := rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, name)
	if v6 {
		b[0] = 0x20 // never an IPv4 address in IPv6's clothes
	}
	a, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a, rapid.Uint16().Draw(t, name+" port"))
}

func drawCert(t *rapid.T) Certificate {
	return Certificate(rapid.SliceOfN(rapid.Byte(), CertLen, CertLen).Draw(t, "cert"))
}

func drawOption(t *rapid.T) Option {
	v6 := rapid.Bool().Draw(t, "v6")
	number := func(name string) seqnum.Value { return seqnum.Value(rapid.Uint32().Draw(t, name)) }
	switch rapid.IntRange(0, 7).Draw(t, "type") {
	case 0:
		o := Offer{Parts: rapid.Uint8Range(1, 8).Draw(t, "parts"), Cert: drawCert(t)}
		o.Part = rapid.Uint8Range(0, o.Parts-1).Draw(t, "part")
		most := 4
		if v6 {
			most = 1
		}
		for i := rapid.IntRange(0, most).Draw(t, "servers"); i > 0; i-- {
			o.Servers = append(o.Servers, drawAddr(t, v6, "server"))
		}
		return o
	case 1:
		return MigrateRequest{number("next"), rapid.Uint32().Draw(t, "server"), drawCert(t)}
	case 2:
		return MigrateReply{number("lsr"), number("ack"), drawCert(t)}
	case 3:
		return RcvdWhileMigrating{seqnum.Size(rapid.Uint32().Draw(t, "delta"))}
	case 4:
		return MigrateAdvise{rapid.Uint8().Draw(t, "n"), Reason(rapid.Uint8().Draw(t, "reason")), drawCert(t), drawAddr(t, v6, "target")}
	case 5:
		return MigrateArrived{}
	case 6:
		return MigrateWhere{drawCert(t)}
	}
	return MigrateRefuse{rapid.Uint8().Draw(t, "n"), Reason(rapid.Uint8().Draw(t, "reason")), drawCert(t)}
}

// What is written is what is read, wherever it stands among other options.
func TestOptionsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := drawOption(t)
		b, err := Append(nil, o)
		if err != nil {
			t.Fatal(err)
		}
		all := append([]byte{1, 2, 4, 5, 0xb4, 1}, b...)
		for _, opts := range [][]byte{b, all, append(bytes.Clone(b), 1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0)} {
			got, err := Parse(opts)
			if err != nil {
				t.Fatalf("%#v as %x: %v", o, opts, err)
			}
			if d := cmp.Diff(o, got, compare); d != "" {
				t.Fatalf("%x: %s", opts, d)
			}
		}
	})
}

// The layouts, byte by byte: these are what docs/protocol.md promises.
func TestLayouts(t *testing.T) {
	cert := Certificate{0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7}
	s2, s2v6 := netip.MustParseAddrPort("10.0.0.2:80"), netip.MustParseAddrPort("[fd00::2]:80")
	for _, c := range []struct {
		o    Option
		want string
	}{
		{Offer{Parts: 1, Cert: cert, Servers: []netip.AddrPort{s2}}, "fd14 4d54 11 01 c0c1c2c3c4c5c6c7 0a0000020050"},
		{Offer{Parts: 2, Cert: cert}, "fd0e 4d54 11 02 c0c1c2c3c4c5c6c7"},
		{Offer{Part: 1, Parts: 2, Cert: cert, Servers: []netip.AddrPort{s2v6}}, "fd20 4d54 11 92 c0c1c2c3c4c5c6c7 fd0000000000000000000000000000020050"},
		{MigrateRequest{0x01020304, 0x0a0b0c0d, cert}, "fd15 4d54 12 01020304 0a0b0c0d c0c1c2c3c4c5c6c7"},
		{MigrateReply{0x01020304, 0x05060708, cert}, "fd15 4d54 13 01020304 05060708 c0c1c2c3c4c5c6c7"},
		{RcvdWhileMigrating{0x01020304}, "fd09 4d54 14 01020304"},
		{MigrateAdvise{7, ReasonDrain, cert, s2}, "fd15 4d54 15 07 02 c0c1c2c3c4c5c6c7 0a0000020050"},
		{MigrateAdvise{7, ReasonDrain, cert, s2v6}, "fd21 4d54 15 07 02 c0c1c2c3c4c5c6c7 fd0000000000000000000000000000020050"},
		{MigrateRefuse{7, ReasonPolicy, cert}, "fd0f 4d54 16 07 15 c0c1c2c3c4c5c6c7"},
		{MigrateArrived{}, "fd05 4d54 17"},
		{MigrateWhere{cert}, "fd0d 4d54 18 c0c1c2c3c4c5c6c7"},
	} {
		b, err := Append(nil, c.o)
		want, _ := hex.DecodeString(string(bytes.ReplaceAll([]byte(c.want), []byte(" "), nil)))
		if err != nil || !bytes.Equal(b, want) {
			t.Errorf("%s is %x, %v; want %x", c.o.Type(), b, err, want)
		}
	}
}

// The handshake's options fit beside all that a firewall wants to see, and the
// offer beside what Linux puts on a SYN+ACK (with its padding).
func TestOptionsFitBesideTheStandardOnes(t *testing.T) {
	standard := []byte{2, 4, 5, 0xb4, 3, 3, 7, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0}
	padded := []byte{2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 7}
	for _, c := range []struct {
		o      Option
		beside []byte
	}{
		{MigrateRequest{}, standard},
		{MigrateReply{}, standard},
		{Offer{Parts: 1, Servers: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.2:80")}}, padded},
	} {
		b, err := Append(nil, c.o)
		if b = append(b, c.beside...); err != nil || len(b) > MaxLen {
			t.Errorf("%s takes %d bytes with the standard ones, %v", c.o.Type(), len(b), err)
		}
		if got, err := Parse(b); err != nil || got.Type() != c.o.Type() {
			t.Errorf("%x: %v, %v", b, got, err)
		}
	}
	if b, err := Append(padded, Offer{Parts: 1, Servers: []netip.AddrPort{netip.MustParseAddrPort("[fd00::2]:80")}}); err == nil || len(b) != len(padded) {
		t.Errorf("an IPv6 server beside the standard options: %d bytes, %v", len(b), err)
	}
}

func TestWhatCannotBeSaid(t *testing.T) {
	v4, v6 := netip.MustParseAddrPort("10.0.0.2:80"), netip.MustParseAddrPort("[fd00::2]:80")
	for _, o := range []Option{
		Offer{}, Offer{Part: 1, Parts: 1}, Offer{Parts: 9}, Offer{Parts: 1, Servers: []netip.AddrPort{v4, v6}},
		Offer{Parts: 1, Servers: []netip.AddrPort{{}}}, MigrateAdvise{}, Offer{Parts: 1, Servers: []netip.AddrPort{v4, v4, v4, v4, v4}},
	} {
		if b, err := Append(nil, o); err == nil || b != nil {
			t.Errorf("%#v became %x", o, b)
		}
	}
}

func TestMalformedOptions(t *testing.T) {
	for _, c := range []string{
		"fd", "fd00", "fd01", "fd06 4d54 12", "fd05 4d54 02", "fd05 4d54 10", "fd05 4d54 18", "fd06 4d54 17 00", "fd15 4d54 22 01020304 0a0b0c0d c0c1c2c3c4c5c6c7",
		"fd08 4d54 14 010203", "fd0e 4d54 11 00 c0c1c2c3c4c5c6c7", "fd0e 4d54 11 11 c0c1c2c3c4c5c6c7", "fd0f 4d54 11 01 c0c1c2c3c4c5c6c7 00", "0204",
		"fd0d 4d54 11 01 c0c1c2c3c4c5c6", "fd16 4d54 15 07 02 c0c1c2c3c4c5c6c7 0a000002005000", "fd14 4d54 11 81 c0c1c2c3c4c5c6c7 0a0000020050",
	} {
		b, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(c), []byte(" "), nil)))
		if err != nil {
			t.Fatal(err)
		}
		o, err := Parse(b)
		if me := (*MalformedError)(nil); !errors.As(err, &me) {
			t.Errorf("%s: %#v, %v", c, o, err)
		}
	}
	for _, b := range [][]byte{nil, {1, 1, 1}, {0, 253}, {2, 4, 5, 0xb4}, {253, 5, 0x4d, 0x55, 0x12}, {254, 5, 0x4d, 0x54, 0x12}} {
		if o, err := Parse(b); !errors.Is(err, ErrNone) {
			t.Errorf("%x: %#v, %v", b, o, err)
		}
	}
}

func drawSegment(t *rapid.T) Segment {
	v6 := rapid.Bool().Draw(t, "v6 segment")
	s := Segment{
		Src: drawAddr(t, v6, "src"), Dst: drawAddr(t, v6, "dst"),
		Seq: seqnum.Value(rapid.Uint32().Draw(t, "seq")), Ack: seqnum.Value(rapid.Uint32().Draw(t, "ack")),
		Flags: Flags(rapid.Uint8().Draw(t, "flags")), Window: rapid.Uint16().Draw(t, "window"),
		Payload: rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "payload"),
	}
	if rapid.Bool().Draw(t, "with option") {
		s.Options, _ = Append(nil, drawOption(t))
	}
	return s
}

// A packet is what an independent decoder thinks it is, and what we read again.
func TestSegmentsAreThoseOfGopacket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSegment(t)
		b, err := s.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		first := gopacket.Decoder(layers.LayerTypeIPv4)
		if s.Src.Addr().Is6() {
			first = layers.LayerTypeIPv6
		}
		p := gopacket.NewPacket(b, first, gopacket.Default)
		tcp, ok := p.TransportLayer().(*layers.TCP)
		if !ok || p.ErrorLayer() != nil {
			t.Fatalf("%x: %v", b, p)
		}
		if err := tcp.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
			t.Fatal(err)
		}
		if err, bad := p.VerifyChecksums(); err != nil || len(bad) > 0 {
			t.Fatalf("checksums: %v, %v", err, bad)
		}
		if tcp.Seq != uint32(s.Seq) || tcp.Ack != uint32(s.Ack) || tcp.Window != s.Window || !bytes.Equal(tcp.Payload, s.Payload) ||
			uint16(tcp.SrcPort) != s.Src.Port() || uint16(tcp.DstPort) != s.Dst.Port() || tcp.SYN != (s.Flags&SYN != 0) || tcp.CWR != (s.Flags&CWR != 0) {
			t.Fatalf("gopacket reads %+v of %+v", tcp, s)
		}
		got, err := ParseSegment(b)
		if err != nil {
			t.Fatal(err)
		}
		got.Options = got.Options[:len(s.Options)]
		if len(s.Options) == 0 {
			got.Options = nil
		}
		if len(s.Payload) == 0 {
			got.Payload, s.Payload = nil, nil
		}
		if d := cmp.Diff(s, got, compare); d != "" {
			t.Fatal(d)
		}
	})
}

// One bit that changed on the way is found, but where nothing covers it: IPv6's
// class, label and hop limit.
func TestDamageIsFound(t *testing.T) {
	for _, src := range []string{"10.0.0.1:5", "[fd00::1]:5"} {
		s := Segment{Src: netip.MustParseAddrPort(src), Dst: netip.MustParseAddrPort(src), Flags: SYN, Payload: []byte("hello")}
		b, err := s.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range len(b) * 8 {
			if b[0]>>4 == 6 && (i < 4 || i >= 8 && i < 32 || i/8 == 7) {
				continue
			}
			b[i/8] ^= 1 << (i % 8)
			if got, err := ParseSegment(b); err == nil {
				t.Errorf("%s: bit %d changed nothing: %+v", src, i, got)
			}
			b[i/8] ^= 1 << (i % 8)
		}
	}
}

func TestSegmentsThatCannotBe(t *testing.T) {
	v4, v6 := netip.MustParseAddrPort("10.0.0.2:80"), netip.MustParseAddrPort("[fd00::2]:80")
	for _, s := range []Segment{{}, {Src: v4, Dst: v6}, {Src: v4, Dst: v4, Options: make([]byte, 41)}, {Src: v6, Dst: v6, Payload: make([]byte, 65536)}} {
		if b, err := s.Append(nil); err == nil {
			t.Errorf("%d bytes without an error", len(b))
		}
	}
}

// A SYN of a move begins an ordinary connection for everybody else.
func TestSYNIsOrdinaryBesides(t *testing.T) {
	o := MigrateRequest{Next: 9, Server: 8}
	b, err := AppendSYN(nil, o, 1460)
	if err != nil || len(b) > MaxLen {
		t.Fatalf("%x, %v", b, err)
	}
	s := Segment{Src: netip.MustParseAddrPort("10.0.0.1:5"), Dst: netip.MustParseAddrPort("10.0.0.2:80"), Flags: SYN, Window: 65535, Options: b}
	packet, err := s.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := gopacket.NewPacket(packet, layers.LayerTypeIPv4, gopacket.Default)
	var kinds []layers.TCPOptionKind
	for _, o := range p.TransportLayer().(*layers.TCP).Options {
		if o.OptionType != layers.TCPOptionKindNop {
			kinds = append(kinds, o.OptionType)
		}
	}
	want := []layers.TCPOptionKind{253, layers.TCPOptionKindMSS, layers.TCPOptionKindWindowScale, layers.TCPOptionKindSACKPermitted}
	if d := cmp.Diff(want, kinds); d != "" || s.Migration() != Option(o) {
		t.Fatalf("%s, %v", d, s.Migration())
	}
	if b, err := AppendSYN(nil, Offer{}, 1460); err == nil || b != nil {
		t.Errorf("%x, %v", b, err)
	}
}

// The pieces of a segment say together what it said, and each fits.
func TestSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSegment(t)
		s.Payload = rapid.SliceOfN(rapid.Byte(), 0, 3000).Draw(t, "payload")
		mtu := rapid.IntRange(110, 1500).Draw(t, "mtu")
		var payload []byte
		var all Flags
		pieces := s.Split(mtu)
		for i, p := range pieces {
			b, err := p.Append(nil)
			if err != nil || len(b) > mtu {
				t.Fatalf("%d bytes, %v", len(b), err)
			}
			if p.Seq != s.Seq.Add(seqnum.Size(len(payload))) || p.Ack != s.Ack || !bytes.Equal(p.Options, s.Options) {
				t.Fatalf("piece %d is %+v of %+v", i, p, s)
			}
			if i < len(pieces)-1 && p.Flags&(FIN|PSH) != 0 || i > 0 && p.Flags&CWR != 0 {
				t.Fatalf("piece %d of %d has %s", i, len(pieces), p.Flags)
			}
			payload, all = append(payload, p.Payload...), all|p.Flags
		}
		if !bytes.Equal(payload, s.Payload) || all != s.Flags {
			t.Fatalf("%d bytes of %d, %s of %s", len(payload), len(s.Payload), all, s.Flags)
		}
	})
}
