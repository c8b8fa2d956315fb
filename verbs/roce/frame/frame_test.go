// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"pgregory.net/rapid"
)

// captured returns the frames of package wire's captures, by file.
func captured(t testing.TB) map[string][][]byte {
	t.Helper()
	files, err := filepath.Glob("../wire/testdata/*.pcap")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	all := map[string][][]byte{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := pcapgo.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		for {
			f, _, err := r.ReadPacketData()
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			all[filepath.Base(file)] = append(all[filepath.Base(file)], f)
		}
	}
	return all
}

// The kernel's own frames are understood, and building them from what was
// understood gives their very bytes.
func TestCapturedFramesParseAndEncode(t *testing.T) {
	for file, frames := range captured(t) {
		for i, f := range frames {
			var d Datagram
			if err := d.Parse(f); err != nil {
				t.Errorf("%s packet %d: %v", file, i+1, err)
				continue
			}
			b := make([]byte, len(f)+MaxHeader)
			n := d.PutHeader(b, len(d.Payload))
			n += copy(b[n:], d.Payload)
			if !bytes.Equal(b[:n], f) {
				t.Errorf("%s packet %d: built\n%x, captured\n%x", file, i+1, b[:min(n, 62)], f[:min(len(f), 62)])
			}
		}
	}
}

func drawDatagram(t *rapid.T) Datagram {
	d := Datagram{
		SrcMAC: MAC(rapid.SliceOfN(rapid.Byte(), 6, 6).Draw(t, "src mac")), DstMAC: MAC(rapid.SliceOfN(rapid.Byte(), 6, 6).Draw(t, "dst mac")),
		TrafficClass: rapid.Byte().Draw(t, "class"), Payload: rapid.SliceOfN(rapid.Byte(), 1, 64).Draw(t, "payload"),
	}
	size := 4
	if rapid.Bool().Draw(t, "v6") {
		size = 16
	} else {
		d.ID, d.Flags = rapid.Uint16().Draw(t, "id"), flagDF
	}
	addr := func(name string) netip.AddrPort {
		a, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, name))
		if a.Is4In6() {
			a = netip.IPv6Loopback()
		}
		return netip.AddrPortFrom(a, rapid.Uint16Range(1024, 4791).Draw(t, name+" port"))
	}
	d.Src, d.Dst = addr("src"), addr("dst")
	return d
}

// gopacket builds the same frame, checksum of the IPv4 header and all.
func TestFramesAreThoseOfGopacket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawDatagram(t)
		b := make([]byte, MaxHeader+len(d.Payload))
		n := d.PutHeader(b, len(d.Payload))
		n += copy(b[n:], d.Payload)
		want := byGopacket(t, &d)
		if !bytes.Equal(b[:n], want) {
			t.Fatalf("built\n%x, gopacket\n%x", b[:n], want)
		}
		var back Datagram
		if err := back.Parse(append(b[:n:n], 0, 0, 0)); err != nil { // padding of a short frame
			t.Fatal(err)
		}
		if diff := cmp.Diff(d, back, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Fatal(diff)
		}
	})
}

func byGopacket(t *rapid.T, d *Datagram) []byte {
	eth := &layers.Ethernet{SrcMAC: d.SrcMAC[:], DstMAC: d.DstMAC[:], EthernetType: layers.EthernetTypeIPv4}
	udp := &layers.UDP{SrcPort: layers.UDPPort(d.Src.Port()), DstPort: layers.UDPPort(d.Dst.Port()), Length: uint16(8 + len(d.Payload))}
	var ip gopacket.SerializableLayer
	src, dst := net.IP(d.Src.Addr().AsSlice()), net.IP(d.Dst.Addr().AsSlice())
	if d.Src.Addr().Is4() {
		ip = &layers.IPv4{Version: 4, TOS: d.TrafficClass, Id: d.ID, Flags: layers.IPv4DontFragment, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: src, DstIP: dst}
	} else {
		eth.EthernetType = layers.EthernetTypeIPv6
		ip = &layers.IPv6{Version: 6, TrafficClass: d.TrafficClass, Length: udp.Length, NextHeader: layers.IPProtocolUDP, HopLimit: 64, SrcIP: src, DstIP: dst}
	}
	full, none := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, gopacket.SerializeOptions{}
	buf := gopacket.NewSerializeBuffer()
	for _, l := range []struct {
		gopacket.SerializableLayer
		opts gopacket.SerializeOptions
	}{{gopacket.Payload(d.Payload), none}, {udp, none}, {ip, full}} {
		if err := l.SerializeTo(buf, l.opts); err != nil {
			t.Fatal(err)
		}
	}
	// Not by SerializeTo: gopacket would pad the frame.
	return append(append(append(append([]byte(nil), d.DstMAC[:]...), d.SrcMAC[:]...), byte(eth.EthernetType>>8), byte(eth.EthernetType)), buf.Bytes()...)
}

func TestMalformedFrames(t *testing.T) {
	d := Datagram{Src: netip.MustParseAddrPort("10.0.0.1:1"), Dst: netip.MustParseAddrPort("10.0.0.2:4791"), Payload: make([]byte, 16)}
	v4 := make([]byte, MaxHeader+16)
	v4 = v4[:d.PutHeader(v4, 16)+16]
	d.Src, d.Dst = netip.MustParseAddrPort("[fd00::1]:1"), netip.MustParseAddrPort("[fd00::2]:4791")
	v6 := make([]byte, MaxHeader+16)
	v6 = v6[:d.PutHeader(v6, 16)+16]

	with := func(f []byte, at int, v ...byte) []byte {
		f = bytes.Clone(f)
		copy(f[at:], v)
		if at >= 14 && at < 34 && f[12] == 8 && f[13] == 0 { // the checksum is right nevertheless
			f[24], f[25] = 0, 0
			be.PutUint16(f[24:], checksum(0, f[14:34]))
		}
		return f
	}
	bad := bytes.Clone(v4)
	bad[24] ^= 1
	for _, c := range []struct {
		name string
		f    []byte
		want error
	}{
		{"empty", nil, ErrTruncated},
		{"Ethernet header cut", v4[:13], ErrTruncated},
		{"IPv4 header cut", v4[:33], ErrTruncated},
		{"IPv6 header cut", v6[:53], ErrTruncated},
		{"IPv4 payload cut", v4[:len(v4)-1], ErrTruncated},
		{"IPv6 payload cut", v6[:len(v6)-1], ErrTruncated},
		{"total length within the header", with(v4, 16, 0, 19), ErrTruncated},
		{"UDP header cut", with(v4, 16, 0, 27), ErrTruncated},
		{"UDP length is not the IP length", with(v4, 38, 0, 23), ErrTruncated},
		{"UDP length of IPv6", with(v6, 58, 0, 25), ErrTruncated},
		{"wrong checksum", bad, ErrChecksum},
		{"options", with(v4, 14, 0x46), ErrOptions},
		{"more fragments", with(v4, 20, 0x20), ErrFragment},
		{"fragment offset", with(v4, 20, 0x00, 0x01), ErrFragment},
		{"TCP", with(v4, 23, 6), ErrOther},
		{"extension header", with(v6, 20, 0), ErrOther},
		{"version 5", with(v4, 14, 0x55), ErrOther},
		{"IPv6 that says 4", with(v6, 14, 0x40), ErrOther},
		{"ARP", with(v4, 12, 8, 6), ErrOther},
		{"VLAN tag", with(v4, 12, 0x81, 0), ErrOther},
	} {
		if err := d.Parse(c.f); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if err := d.Parse(with(v4, 20, 0)); err != nil || d.Flags != 0 {
		t.Errorf("a datagram that may be fragmented: %v", err)
	}
}

func TestNothingOnThePathAllocates(t *testing.T) {
	d := Datagram{Src: netip.MustParseAddrPort("[fd00::1]:1"), Dst: netip.MustParseAddrPort("[fd00::2]:4791")}
	b := make([]byte, MaxHeader+64)
	if n := testing.AllocsPerRun(100, func() {
		n := d.PutHeader(b, 64)
		if err := d.Parse(b[:n+64]); err != nil {
			t.Fatal(err)
		}
		if err := d.Parse(b[:n]); err == nil {
			t.Fatal("a cut frame was taken")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
