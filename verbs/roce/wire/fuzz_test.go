// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"testing"
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
