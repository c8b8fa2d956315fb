// SPDX-License-Identifier: Apache-2.0

package seqnum

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Arithmetic near the wrap is that of far away from it: adding one constant to
// all numbers changes no answer.
func TestValueIsShiftInvariant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shift := Size(rapid.Uint32().Draw(t, "shift"))
		a := rapid.Uint32Range(0, math.MaxInt32).Draw(t, "a")
		b := rapid.Uint32Range(0, math.MaxInt32).Draw(t, "b")
		c := rapid.Uint32Range(0, math.MaxInt32).Draw(t, "c")
		x, y, z := Value(a).Add(shift), Value(b).Add(shift), Value(c).Add(shift)
		if x.Less(y) != (a < b) || x.LessEq(y) != (a <= b) {
			t.Fatalf("Less(%d, %d) shifted by %d", a, b, shift)
		}
		if b <= c && x.InRange(y, z) != (b <= a && a < c) {
			t.Fatalf("%d in [%d, %d) shifted by %d", a, b, c, shift)
		}
		if a <= b && x.Size(y) != Size(b-a) {
			t.Fatalf("Size(%d, %d) shifted by %d is %d", a, b, shift, x.Size(y))
		}
		if Max(x, y) != Value(max(a, b)).Add(shift) {
			t.Fatalf("Max(%d, %d) shifted by %d", a, b, shift)
		}
	})
}

func TestPSNIsShiftInvariant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shift := rapid.IntRange(-1<<25, 1<<25).Draw(t, "shift")
		a := rapid.IntRange(0, 1<<23-1).Draw(t, "a")
		b := rapid.IntRange(0, 1<<23-1).Draw(t, "b")
		x, y := NewPSN(uint32(a)).Add(shift), NewPSN(uint32(b)).Add(shift)
		if x.Less(y) != (a < b) || x.Diff(y) != a-b {
			t.Fatalf("%d, %d shifted by %d: less %v, diff %d", a, b, shift, x.Less(y), x.Diff(y))
		}
		if x > psnMask || y > psnMask {
			t.Fatalf("%#x or %#x has more than 24 bits", x, y)
		}
	})
}

// RFC 9293, 3.4: "the actual sequence number space is finite, though large:
// this space ranges from 0 to 2**32 - 1".
func TestWrap(t *testing.T) {
	last := Value(math.MaxUint32)
	if !last.Less(0) || Value(0).Less(last) || last.Add(1) != 0 || last.Size(4) != 5 || !Value(2).InWindow(last, 4) || Value(3).InWindow(last, 4) {
		t.Error("32 bits do not wrap around")
	}
	if p := NewPSN(psnMask); p.Add(1) != 0 || !p.Less(0) || NewPSN(0).Diff(p) != 1 {
		t.Error("24 bits do not wrap around")
	}
}
