// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"strings"
	"testing"
)

// What rxe sent is understood, and encoding what was understood gives its very
// bytes: headers, pad and ICRC.
func TestGoldenPacketsParseAndEncode(t *testing.T) {
	for _, c := range captures(t) {
		var p Packet
		if err := p.Parse(c.payload); err != nil {
			t.Errorf("%s packet %d: %v", c.file, c.num, err)
			continue
		}
		b := make([]byte, Len(p.Opcode, len(p.Payload)))
		if n := p.Put(b); n != len(b) {
			t.Errorf("%s packet %d: Put wrote %d bytes, Len says %d", c.file, c.num, n, len(b))
		}
		c.flow(t).Seal(b, c.id)
		if !bytes.Equal(b, c.payload) {
			t.Errorf("%s packet %d (%v): encoded\n%x, captured\n%x", c.file, c.num, p.Opcode, b, c.payload)
		}
	}
}

// The captures have every opcode, over both families, from both kernels, and
// the syndromes that an endpoint must understand. A CNP no rxe sends.
func TestGoldenPacketsAreComplete(t *testing.T) {
	type sort struct {
		op Opcode
		v6 bool
		k  string
	}
	seen, syndromes := map[sort]bool{}, map[Syndrome]bool{}
	for _, c := range captures(t) {
		var p Packet
		if p.Parse(c.payload) != nil {
			continue // another test's business
		}
		kernel, _, _ := strings.Cut(strings.TrimPrefix(c.file, "rxe-"), "-")
		seen[sort{p.Opcode, c.flow(t).Is6(), kernel}] = true
		if p.Opcode == OpAcknowledge {
			syndromes[p.AETH.Syndrome] = true
		}
	}
	for _, op := range spoken() {
		for _, k := range []string{"6.1", "6.12"} {
			if op != OpCNP && (!seen[sort{op, false, k}] || !seen[sort{op, true, k}]) {
				t.Errorf("no %v from %s: IPv4 %v, IPv6 %v", op, k, seen[sort{op, false, k}], seen[sort{op, true, k}])
			}
		}
	}
	for _, s := range []Syndrome{Ack, RNRNak(27), NakRemoteAccess} {
		if !syndromes[s] {
			t.Errorf("nobody answered %v", s)
		}
	}
}

func TestGoldenICRC(t *testing.T) {
	for _, c := range captures(t) {
		f := c.flow(t)
		if !f.Check(c.payload, c.id, c.flags) {
			t.Errorf("%s packet %d: the ICRC is wrong", c.file, c.num)
		}
		if id, ok := f.CheckUnknownID(c.payload); !ok || id != c.id {
			t.Errorf("%s packet %d: found ID %#x (%v), captured %#x", c.file, c.num, id, ok, c.id)
		}
		hurt := bytes.Clone(c.payload)
		for _, at := range []int{0, 1, 8, 11, len(hurt) - 5, len(hurt) - 1} {
			hurt[at] ^= 0x10
			if f.Check(hurt, c.id, c.flags) {
				t.Errorf("%s packet %d: right with a bit of byte %d turned", c.file, c.num, at)
			}
			if _, ok := f.CheckUnknownID(hurt); ok {
				t.Errorf("%s packet %d: an ID was found with a bit of byte %d turned", c.file, c.num, at)
			}
			hurt[at] ^= 0x10
		}
		hurt[4] ^= 0xff // congestion bits may change on the way
		if !f.Check(hurt, c.id, c.flags) {
			t.Errorf("%s packet %d: congestion bits are covered", c.file, c.num)
		}
	}
}
