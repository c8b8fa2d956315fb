// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

var (
	us   = Host{MAC{2, 0, 0, 0, 0, 1}, []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fe80::1"), netip.MustParseAddr("fd00::1")}}
	them = Host{MAC{2, 0, 0, 0, 0, 2}, []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fe80::2"), netip.MustParseAddr("fd00::2")}}
)

// One host asks, another answers, the first learns; gopacket reads both.
func TestAskAndAnswer(t *testing.T) {
	for i, a := range us.Addrs {
		q, r := make([]byte, MaxNeighbor), make([]byte, MaxNeighbor)
		q = q[:them.Ask(q, a)]
		dissect(t, q)
		if who, mac, ok := Neighbor(q); !ok || who != them.Addrs[i] || mac != them.MAC {
			t.Errorf("asked for %v: the question is from %v at %x, %v", a, who, mac, ok)
		}
		r = r[:us.Answer(r, q)]
		if len(r) == 0 {
			t.Fatalf("nobody answers for %v", a)
		}
		dissect(t, r)
		if who, mac, ok := Neighbor(r); !ok || who != a || mac != us.MAC || MAC(r[0:6]) != them.MAC {
			t.Errorf("answer for %v: %v is at %x, %v, sent to %x", a, who, mac, ok, r[0:6])
		}
		if n := them.Answer(make([]byte, MaxNeighbor), q); n != 0 {
			t.Errorf("a host answers a question about %v, which it does not have", a)
		}
		if n := them.Answer(make([]byte, MaxNeighbor), r); n != 0 {
			t.Error("an answer is answered")
		}
	}
	v4 := Host{us.MAC, us.Addrs[:1]}
	if n := v4.Ask(make([]byte, MaxNeighbor), netip.MustParseAddr("fd00::2")); n != 0 {
		t.Error("a host without an IPv6 address asks for one")
	}
}

// dissect lets gopacket read a message, and gopacket's own bytes for the same
// layers must be the same, checksum and all.
func dissect(t *testing.T, f []byte) {
	t.Helper()
	pkt := gopacket.NewPacket(f, layers.LayerTypeEthernet, gopacket.Default)
	if e := pkt.ErrorLayer(); e != nil {
		t.Fatalf("%x: %v", f, e.Error())
	}
	var again []gopacket.SerializableLayer
	for _, l := range pkt.Layers() {
		switch l := l.(type) {
		case *layers.Ethernet, *layers.IPv6, *layers.ARP, *layers.ICMPv6NeighborSolicitation, *layers.ICMPv6NeighborAdvertisement:
			again = append(again, l.(gopacket.SerializableLayer))
		case *layers.ICMPv6:
			if err := l.SetNetworkLayerForChecksum(pkt.NetworkLayer()); err != nil {
				t.Fatal(err)
			}
			again = append(again, l)
		}
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, again...); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(buf.Bytes()[:len(f)], f) { // gopacket pads to 60 bytes
		t.Errorf("gopacket writes\n%x, not\n%x", buf.Bytes(), f)
	}
}

// Who chooses an address asks without one: the answer goes to all.
func TestDuplicateAddressDetection(t *testing.T) {
	a := us.Addrs[2]
	group, mac := solicitedNode(a)
	q := make([]byte, MaxNeighbor)
	q = q[:putND(q, &nd{kind: ndSolicitation, to: mac, from: them.MAC, src: netip.IPv6Unspecified(), dst: group, target: a})]
	if _, _, ok := Neighbor(q); ok {
		t.Error("somebody was learned from a question without a sender")
	}
	r := make([]byte, MaxNeighbor)
	r = r[:us.Answer(r, q)]
	dissect(t, r)
	got, ok := parseND(r)
	if !ok || got.dst != allNodes || got.to != (MAC{0x33, 0x33, 0, 0, 0, 1}) || got.flags != ndOverride {
		t.Errorf("%+v, %v", got, ok)
	}
}

func TestGroupsAreThoseOfTheNetPackage(t *testing.T) {
	group, mac := solicitedNode(netip.MustParseAddr("fe80::1:2aa:bbcc"))
	if group.String() != "ff02::1:ffaa:bbcc" || net.HardwareAddr(mac[:]).String() != "33:33:ff:aa:bb:cc" {
		t.Errorf("%v %v", group, net.HardwareAddr(mac[:]))
	}
}

func TestWhatIsNoNeighborIsLeftAlone(t *testing.T) {
	q4, q6 := make([]byte, MaxNeighbor), make([]byte, MaxNeighbor)
	q4 = q4[:them.Ask(q4, us.Addrs[0])]
	q6 = q6[:them.Ask(q6, us.Addrs[2])]
	with := func(f []byte, at int, v ...byte) []byte {
		f = bytes.Clone(f)
		copy(f[at:], v)
		if f[12] == 0x86 && at != 56 { // the checksum is right nevertheless
			f[56], f[57] = 0, 0
			n := min(int(be.Uint16(f[18:])), len(f)-54)
			be.PutUint16(f[56:], checksum(pseudoSum(f[14:], n), f[54:54+n]))
		}
		return f
	}
	for name, f := range map[string][]byte{
		"empty": nil, "cut ARP": q4[:len(q4)-1], "cut solicitation": q6[:77],
		"option beyond the end": q6[:len(q6)-1],
		"other hardware":        with(q4, 15, 6), "other protocol": with(q4, 17, 1), "long addresses": with(q4, 18, 8),
		"IPv6 length beyond the end": with(q6, 18, 0, 33), "IPv6 length too short": with(q6, 18, 0, 23),
		"from beyond the segment": with(q6, 21, 254), "wrong checksum": with(q6, 56, 1, 2),
		"code 1": with(q6, 55, 1), "echo request": with(q6, 54, 128),
		"option of length 0": with(q6, 79, 0), "option that is too long": with(q6, 79, 2),
		"a group is no target": with(q6, 62, 0xff, 0x02),
	} {
		if n := us.Answer(make([]byte, MaxNeighbor), f); n != 0 {
			t.Errorf("%s is answered", name)
		}
		if who, _, ok := Neighbor(f); ok {
			t.Errorf("%s: %v was learned", name, who)
		}
	}
	for name, f := range map[string][]byte{
		"our own address": with(q4, 28, 10, 0, 0, 1), "a reply": with(q4, 21, 2), "another's address": with(q4, 41, 9),
	} {
		if n := us.Answer(make([]byte, MaxNeighbor), f); n != 0 {
			t.Errorf("%s is answered", name)
		}
	}
	for name, f := range map[string][]byte{"a group's MAC": with(q4, 22, 3), "a group's MAC, IPv6": with(q6, 80, 0x33)} {
		if _, mac, ok := Neighbor(f); ok {
			t.Errorf("%s: %x was learned", name, mac)
		}
	}
}
