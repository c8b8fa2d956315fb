// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"testing"
)

// What rxe sent is understood, and encoding what was understood gives its very
// bytes: headers, pad and ICRC.
func TestGoldenPacketsParseAndEncode(t *testing.T) {
	seen := map[Opcode]int{}
	for _, c := range captures(t) {
		var p Packet
		if err := p.Parse(c.payload); err != nil {
			t.Errorf("%s packet %d: %v", c.file, c.num, err)
			continue
		}
		seen[p.Opcode]++
		b := make([]byte, Len(p.Opcode, len(p.Payload)))
		if n := p.Put(b); n != len(b) {
			t.Errorf("%s packet %d: Put wrote %d bytes, Len says %d", c.file, c.num, n, len(b))
		}
		sealAs(c.flow(t), b, &c)
		if !bytes.Equal(b, c.payload) {
			t.Errorf("%s packet %d (%v): encoded\n%x, captured\n%x", c.file, c.num, p.Opcode, b, c.payload)
		}
	}
	t.Log(seen)
}

// sealAs writes the ICRC for the flags that the captured packet had.
func sealAs(f *Flow, b []byte, c *captured) {
	if c.flags == flagDF || f.v6 {
		f.Seal(b, c.id)
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
