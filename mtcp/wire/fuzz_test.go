// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"net/netip"
	"testing"
)

// Whatever Parse takes for an option is written the same way again.
func FuzzOption(f *testing.F) {
	cert := Certificate{1, 2, 3, 4, 5, 6, 7, 8}
	s2, v6 := netip.MustParseAddrPort("10.0.0.2:80"), netip.MustParseAddrPort("[fd00::2]:80")
	for _, o := range []Option{
		Offer{Parts: 1, Cert: cert, Servers: []netip.AddrPort{s2, s2}}, Offer{Part: 1, Parts: 2, Cert: cert, Servers: []netip.AddrPort{v6}},
		MigrateRequest{1, 2, cert}, MigrateReply{1, 2, cert}, RcvdWhileMigrating{3}, MigrateAdvise{1, ReasonLoad, cert, s2}, MigrateRefuse{1, ReasonBusy, cert}, MigrateArrived{}, MigrateWhere{cert},
	} {
		b, err := Append(nil, o)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(append([]byte{1, 3, 3, 7}, b...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := Parse(b)
		if err != nil {
			return
		}
		again, err := Append(nil, o)
		if len(b) <= MaxLen && (err != nil || !bytes.Contains(b, again)) {
			t.Fatalf("%x is %#v, which is written %x, %v", b, o, again, err)
		}
	})
}

// ParseSegment survives any packet, and what it reads it can write.
func FuzzSegment(f *testing.F) {
	for _, a := range []string{"10.0.0.1:5", "[fd00::1]:5"} {
		s := Segment{Src: netip.MustParseAddrPort(a), Dst: netip.MustParseAddrPort(a), Seq: 1, Flags: SYN | ACK, Payload: []byte("x")}
		s.Options, _ = Append(nil, RcvdWhileMigrating{9})
		b, err := s.Append(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)-3])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSegment(b)
		if err != nil {
			return
		}
		_ = s.Migration()
		if out, err := s.Append(nil); err != nil {
			t.Fatalf("%+v is written as %x, %v", s, out, err)
		} else if again, err := ParseSegment(out); err != nil || again.Seq != s.Seq || !bytes.Equal(again.Payload, s.Payload) {
			t.Fatalf("%+v comes back as %+v, %v", s, again, err)
		}
	})
}
