// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Whatever bytes come: no panic, a payload inside them, and what was parsed
// encodes to the same bytes but for reserved bits, pad and ICRC.
func FuzzParse(f *testing.F) {
	for _, c := range captures(f) {
		f.Add(c.payload)
		f.Add(c.payload[:len(c.payload)/8*4])
	}
	flow := mustFlow(f, "10.77.0.1:49152", "10.77.0.2:4791")
	f.Fuzz(func(t *testing.T, b []byte) {
		flow.CheckUnknownID(b)
		flow.Check(b, 1, 0x4000)
		var p, q Packet
		if p.Parse(b) != nil {
			return
		}
		if len(p.Payload) > len(b)-BTHLen-ICRCLen {
			t.Fatalf("payload of %d bytes in a packet of %d", len(p.Payload), len(b))
		}
		again := make([]byte, Len(p.Opcode, len(p.Payload)))
		if p.Put(again) != len(b) {
			t.Fatalf("%d bytes became %d", len(b), len(again))
		}
		if err := q.Parse(again); err != nil {
			t.Fatalf("parsed once, not twice: %v", err)
		}
		if p.BTH != q.BTH || p.RETH != q.RETH || p.Atomic != q.Atomic || p.AETH != q.AETH || p.DETH != q.DETH ||
			p.Imm != q.Imm || p.InvRKey != q.InvRKey || p.AtomicAck != q.AtomicAck || !bytes.Equal(p.Payload, q.Payload) {
			t.Fatalf("%+v became %+v", p, q)
		}
	})
}

// Whatever datagram comes to the GSI: no panic, and a message that was read is
// written and read as the same.
func FuzzMAD(f *testing.F) {
	for _, c := range captures(f) {
		var p Packet
		if p.Parse(c.payload) == nil && p.Opcode == OpUDSendOnly {
			f.Add(p.Payload)
		}
	}
	for attr, m := range messages() {
		b := make([]byte, MADLen)
		m.Encode(PutMAD(b, MADHeader{TID: 1, Attr: attr}))
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, data, err := ParseMAD(b)
		if err != nil {
			return
		}
		m, again := messages()[h.Attr], messages()[h.Attr]
		if m == nil {
			return
		}
		m.Decode(data)
		out := make([]byte, MADLen)
		m.Encode(PutMAD(out, h))
		h2, data2, err := ParseMAD(out)
		if err != nil || h2 != h {
			t.Fatalf("%+v became %+v: %v", h, h2, err)
		}
		again.Decode(data2)
		if d := cmp.Diff(m, again); d != "" {
			t.Fatal(d)
		}
		if req, ok := m.(*REQ); ok {
			fuzzPrivate(t, req)
		}
	})
}

func fuzzPrivate(t *testing.T, req *REQ) {
	h, err := DecodeIPHeader(&req.PrivateData)
	if err != nil {
		return
	}
	private := req.PrivateData
	h.Encode(&private)
	if again, err := DecodeIPHeader(&private); err != nil || again != h {
		t.Fatalf("%+v became %+v: %v", h, again, err)
	}
	if ps, port, ok := req.ServiceID.Port(); ok && NewServiceID(ps, port) != req.ServiceID {
		t.Fatalf("service ID %#x is port %d of %#x", uint64(req.ServiceID), port, ps)
	}
}
