// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lazystate/internal/seqnum"
	"lazystate/mtcp/wire"
)

// serverModel is what bpf/server.h is to do.
type serverModel struct {
	service Service
	holds   map[Flow]What
	told    []Told
}

func (m *serverModel) serves(a netip.AddrPort) bool { return a == m.service.Listen }

func (m *serverModel) in(s wire.Segment) uint32 {
	if ours(s) && m.serves(s.Dst) && (!flags(s, wire.SYN) || m.service.Takes) {
		m.told = append(m.told, Option)
		return verdictShot
	}
	h := m.holds[Flow{s.Dst, s.Src}]
	if h&Tell != 0 {
		m.told = append(m.told, Held)
	}
	if h&DropIn != 0 {
		return verdictShot
	}
	return verdictNext
}

func (m *serverModel) out(s wire.Segment) (uint32, wire.Segment) {
	if m.holds[Flow{s.Src, s.Dst}]&DropOut != 0 && !ours(s) {
		return verdictShot, s
	}
	if !flags(s, wire.SYN) || !flags(s, wire.ACK) || len(s.Payload) > 0 || ours(s) || !m.serves(s.Src) || !m.service.Offers {
		return verdictNext, s
	}
	v6 := s.Src.Addr().Is6()
	o := wire.Offer{Parts: uint8(m.service.Parts(v6))}
	o.Cert = m.service.Key.Certify(wire.Subject{Client: s.Dst, Server: s.Src, ISS: s.Seq, IRS: s.Ack - 1, Generation: 1})
	if !v6 && len(m.service.Servers) > 0 {
		o.Servers = m.service.Servers[:1]
	}
	opts, _ := wire.Append(nil, o)
	for len(opts)%4 != 0 {
		opts = append(opts, 1)
	}
	if len(opts)+len(s.Options) <= wire.MaxLen {
		s.Options = append(opts, s.Options...)
	}
	return verdictNext, s
}

func drawService(t *rapid.T) (Service, netip.AddrPort) {
	listen, client := netip.MustParseAddrPort("10.9.0.2:80"), netip.MustParseAddrPort("10.9.0.1:5000")
	servers := []netip.AddrPort{netip.MustParseAddrPort("10.9.0.3:81"), netip.MustParseAddrPort("10.9.0.4:82")}
	if rapid.Bool().Draw(t, "v6") {
		listen, client = netip.MustParseAddrPort("[fd09::2]:80"), netip.MustParseAddrPort("[fd09::1]:5000")
		servers = []netip.AddrPort{netip.MustParseAddrPort("[fd09::3]:81"), netip.MustParseAddrPort("[fd09::4]:82")}
	}
	v := Service{Listen: listen, Takes: rapid.Bool().Draw(t, "takes"), Offers: rapid.Bool().Draw(t, "offers")}
	binary.LittleEndian.PutUint64(v.Key[:], rapid.Uint64().Draw(t, "key"))
	v.Servers = servers[:rapid.IntRange(0, 2).Draw(t, "servers")]
	return v, client
}

// Offers, with their certificates, and holds are the model's, byte for byte.
func TestServerProgramsAreTheModel(t *testing.T) {
	k := newKernel(t, bpfProgSteerServerIn, bpfProgSteerServerOut)
	srv := &Server{holds: k.maps[bpfMapHolds], services: k.maps[bpfMapServices]}
	for _, sum := range []uint32{0, checksumComplete} {
		t.Run(fmt.Sprintf("flags %d", sum), func(t *testing.T) {
			if k.flags = sum; sum != 0 && !k.takes(t, bpfProgSteerServerIn, sum) {
				t.Skip("this kernel does not keep a device's sum in test runs (since 6.16)")
			}
			for range rounds(10) {
				rapid.Check(t, func(t *rapid.T) { k.checkServer(t, srv) })
			}
		})
	}
}

func (k *kernel) checkServer(t *rapid.T, srv *Server) {
	v, client := drawService(t)
	m := &serverModel{service: v, holds: map[Flow]What{}}
	f := Flow{v.Listen, client}
	if err := srv.Serve(v); err != nil {
		t.Fatal(err)
	}
	defer srv.services.Delete(endpointOf(v.Listen))
	defer srv.Release(f)
	if what := What(rapid.Uint32Range(0, 7).Draw(t, "hold")); what != 0 {
		m.holds[f] = what
		if err := srv.Hold(f, what, 0); err != nil {
			t.Fatal(err)
		}
	}
	k.heard(t)
	s := wire.Segment{
		Src: v.Listen, Dst: client, Seq: seqnum.Value(rapid.Uint32().Draw(t, "seq")), Ack: seqnum.Value(rapid.Uint32().Draw(t, "ack")),
		Flags: rapid.SampledFrom([]wire.Flags{wire.SYN | wire.ACK, wire.SYN, wire.ACK, wire.RST}).Draw(t, "flags"), Window: 9,
		Options: rapid.SampledFrom(append(standardOptions, nops(20), nops(24), nops(28))).Draw(t, "options"),
		Payload: rapid.SliceOfN(rapid.Byte(), 0, 1).Draw(t, "payload"),
	}
	if rapid.Bool().Draw(t, "a SYN+ACK") {
		s.Flags, s.Payload = wire.SYN|wire.ACK, nil
	}
	if rapid.Bool().Draw(t, "in") {
		s.Src, s.Dst = s.Dst, s.Src
		want := m.in(s)
		if got, _ := k.run(t, bpfProgSteerServerIn, packet(t, s)); got != want {
			t.Fatalf("%+v is %d, the model says %d", s, got, want)
		}
	} else {
		verdict, want := m.out(s)
		got, out := k.run(t, bpfProgSteerServerOut, packet(t, s))
		if got != verdict || verdict != verdictShot && !bytes.Equal(out, packet(t, want)) {
			t.Fatalf("%+v is %d\n%x, the model says %d\n%x", s, got, out, verdict, packet(t, want))
		}
	}
	var told []Told
	for _, e := range k.heard(t) {
		told = append(told, e.Told)
		if e.Flow != f || e.Segment.Seq != s.Seq || e.Segment.Ack != s.Ack || e.Segment.Flags != s.Flags || !bytes.Equal(e.Segment.Options, s.Options) || e.Payload != len(s.Payload) {
			t.Fatalf("told %+v of %+v", e, s)
		}
	}
	if d := cmp.Diff(m.told, told); d != "" {
		t.Fatalf("told: %s", d)
	}
}

func packet(t failer, s wire.Segment) []byte {
	b, err := s.Append(nil)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return b
}

func nops(n int) []byte { return bytes.Repeat([]byte{1}, n) }
