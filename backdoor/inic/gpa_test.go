// SPDX-License-Identifier: Apache-2.0

package inic

import (
	"testing"

	"pgregory.net/rapid"
)

// The table was read off QEMU's `info mtree -f` for q35 and pc guests.
func TestOffset(t *testing.T) {
	const m, g = 1 << 20, 1 << 30
	for _, c := range []struct {
		machine Machine
		size    uint64
		gpa, n  uint64
		off     uint64
		ok      bool
	}{
		{Q35, 512 * m, 0, 8, 0, true},
		{Q35, 512 * m, 512*m - 8, 8, 512*m - 8, true},
		{Q35, 512 * m, 512*m - 7, 8, 0, false},
		{Q35, 512 * m, 4 * g, 8, 0, false},
		{Q35, 2 * g, 2*g - 8, 8, 2*g - 8, true},
		{Q35, 2560 * m, 2560*m - 8, 8, 2560*m - 8, true}, // still below 0xb0000000: no split
		{Q35, 4 * g, 2*g - 8, 8, 2*g - 8, true},
		{Q35, 4 * g, 2*g - 4, 8, 0, false}, // across the border
		{Q35, 4 * g, 2 * g, 8, 0, false},   // the hole
		{Q35, 4 * g, 4*g - 8, 8, 0, false},
		{Q35, 4 * g, 4 * g, 8, 2 * g, true},
		{Q35, 4 * g, 6*g - 8, 8, 4*g - 8, true},
		{Q35, 4 * g, 6*g - 7, 8, 0, false},
		{PC, 3 * g, 3*g - 8, 8, 3*g - 8, true},
		{PC, 5 * g, 3 * g, 8, 0, false},
		{PC, 5 * g, 4 * g, 8, 3 * g, true},
		{PC, 5 * g, 6*g - 8, 8, 5*g - 8, true},
		{PC, 5 * g, 6 * g, 8, 0, false},
		{Q35, 5 * g, 1<<64 - 8, 8, 0, false},
		{Q35, 5 * g, 1<<64 - 8, 1 << 63, 0, false},
	} {
		off, ok := c.machine.offset(c.gpa, c.n, c.size)
		if ok != c.ok || ok && off != c.off {
			t.Errorf("machine %d, %#x bytes: %#x+%d is %#x, %v; want %#x, %v", c.machine, c.size, c.gpa, c.n, off, ok, c.off, c.ok)
		}
	}
}

// Whatever the target says, an accepted range lies in the file, and two
// addresses never share a byte of it.
func TestOffsetStaysInside(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		machine := rapid.SampledFrom([]Machine{Q35, PC}).Draw(t, "machine")
		size := rapid.Uint64Range(1, 1<<40).Draw(t, "size")
		gpa, n := rapid.Uint64().Draw(t, "gpa"), rapid.Uint64Range(1, 1<<32).Draw(t, "n")
		if rapid.Bool().Draw(t, "near") {
			gpa %= 2 * size
		}
		off, ok := machine.offset(gpa, n, size)
		if !ok {
			return
		}
		if off >= size || n > size-off {
			t.Fatalf("%#x+%#x lies outside %#x", off, n, size)
		}
		if off != gpa && off != gpa-above4G+machine.lowMemory(size) {
			t.Fatalf("%#x maps to %#x", gpa, off)
		}
	})
}
