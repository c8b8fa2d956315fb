// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func mustFlow(t testing.TB, src, dst string) *Flow {
	t.Helper()
	f, err := NewFlow(netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst))
	if err != nil {
		t.Fatal(err)
	}
	return &f
}

// plainICRC is annex A17.3.3 word by word: a pseudo packet and one CRC over it.
func plainICRC(src, dst netip.AddrPort, pkt []byte, id, flags uint16) uint32 {
	h := bytes.Repeat([]byte{0xff}, 8)
	udp := uint16(len(pkt) + 8)
	if s := src.Addr(); s.Is4() {
		h = append(h, 0x45, 0xff)
		h = be.AppendUint16(h, udp+20)
		h = be.AppendUint16(h, id)
		h = be.AppendUint16(h, flags)
		h = append(h, 0xff, 17, 0xff, 0xff)
	} else {
		h = append(h, 0x6f, 0xff, 0xff, 0xff)
		h = be.AppendUint16(h, udp)
		h = append(h, 17, 0xff)
	}
	h = append(append(h, src.Addr().AsSlice()...), dst.Addr().AsSlice()...)
	h = be.AppendUint16(be.AppendUint16(h, src.Port()), dst.Port())
	h = append(be.AppendUint16(h, udp), 0xff, 0xff)
	at := len(h) + 4
	h = append(h, pkt[:len(pkt)-ICRCLen]...)
	h[at] = 0xff
	return crc32.ChecksumIEEE(h)
}

func drawAddrPort(t *rapid.T, v6 bool, name string) netip.AddrPort {
	b := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, name)
	a := netip.AddrFrom16([16]byte(b))
	if !v6 {
		a = netip.AddrFrom4([4]byte(b[:4]))
	}
	return netip.AddrPortFrom(a, rapid.Uint16().Draw(t, name+" port"))
}

func TestICRCIsThatOfThePseudoPacket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v6 := rapid.Bool().Draw(t, "v6")
		src, dst := drawAddrPort(t, v6, "src"), drawAddrPort(t, v6, "dst")
		f, err := NewFlow(src, dst)
		if err != nil {
			if v6 && (src.Addr().Is4In6() || dst.Addr().Is4In6()) {
				t.Skip("one mapped address")
			}
			t.Fatal(err)
		}
		pkt := make([]byte, 4*rapid.IntRange(4, MaxPacket/4).Draw(t, "words"))
		seed := rapid.Uint64().Draw(t, "seed")
		for i, r := 0, rand.New(rand.NewPCG(seed, 1)); i < len(pkt); i++ {
			pkt[i] = byte(r.Uint32())
		}
		id, flags := rapid.Uint16().Draw(t, "id"), uint16(0x4000)
		if rapid.Bool().Draw(t, "may be fragmented") {
			flags = 0
		}
		binary.LittleEndian.PutUint32(pkt[len(pkt)-4:], plainICRC(src, dst, pkt, id, flags))
		if !f.Check(pkt, id, flags) {
			t.Fatal("the plain ICRC is refused")
		}
		if f.Check(pkt, id+1, flags) != v6 || f.Check(pkt, id, flags^0x4000) != v6 {
			t.Fatal("ID or flags are not covered by IPv4, or are by IPv6")
		}
		if flags == 0 && !v6 {
			return
		}
		found, ok := f.CheckUnknownID(pkt)
		if !ok || !v6 && found != id {
			t.Fatalf("found ID %#x (%v), it was %#x", found, ok, id)
		}
		before := bytes.Clone(pkt)
		f.Seal(pkt, id)
		if !bytes.Equal(before, pkt) {
			t.Fatal("Seal writes another ICRC")
		}
	})
}

func TestCheckRefusesWhatIsNoPacket(t *testing.T) {
	f := mustFlow(t, "10.0.0.1:1", "10.0.0.2:4791")
	for _, n := range []int{0, 1, 12, 15, 17, MaxPacket + 4, 1 << 16} {
		if _, ok := f.CheckUnknownID(make([]byte, n)); ok || f.Check(make([]byte, n), 0, 0x4000) {
			t.Errorf("%d bytes pass", n)
		}
	}
	pkt := make([]byte, 32)
	f.Seal(pkt, 0)
	if !f.Check(pkt, 0, 0x4000) || f.Check(pkt, 0, 0x6000) || f.Check(pkt, 0, 0x4001) {
		t.Error("a fragment passes")
	}
}

func TestFlowNeedsOneFamily(t *testing.T) {
	v4, v6 := netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("[fe80::1]:1")
	mapped := netip.MustParseAddrPort("[::ffff:10.0.0.1]:1")
	for _, c := range []struct {
		src, dst netip.AddrPort
		ok       bool
	}{{v4, v6, false}, {v6, v4, false}, {v4, netip.AddrPort{}, false}, {netip.AddrPort{}, v6, false}, {v4, mapped, true}, {v6, v6, true}} {
		f, err := NewFlow(c.src, c.dst)
		if (err == nil) != c.ok || c.ok && f.Is6() != (c.src == v6) {
			t.Errorf("%v to %v: %v", c.src, c.dst, err)
		}
	}
}

// Without the ID 16 bits of strength are left: of random packets about one in
// 65,536 passes, with a fixed seed always the same number.
func TestStrengthWithoutTheID(t *testing.T) {
	f := mustFlow(t, "10.0.0.1:1", "10.0.0.2:4791")
	r := rand.New(rand.NewPCG(7, 7))
	pkt := make([]byte, 64)
	passed := 0
	for range 1 << 20 {
		for i := 0; i < len(pkt); i += 8 {
			binary.LittleEndian.PutUint64(pkt[i:], r.Uint64())
		}
		if _, ok := f.CheckUnknownID(pkt); ok {
			passed++
		}
	}
	if passed == 0 || passed > 40 { // 16 are expected
		t.Errorf("%d of 2^20 random packets pass", passed)
	}
}
