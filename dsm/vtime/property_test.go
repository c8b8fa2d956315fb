// SPDX-License-Identifier: Apache-2.0

package vtime

import (
	"testing"

	"pgregory.net/rapid"
)

func draw(t *rapid.T, name string) Time {
	return Time(rapid.SliceOfN(rapid.Uint64Range(0, 4), 3, 3).Draw(t, name))
}

// Join and Meet are the least upper and the greatest lower bound.
func TestJoinAndMeetAreBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := draw(t, "a"), draw(t, "b"), draw(t, "c")
		j, m := a.Clone(), a.Clone()
		j.Join(b)
		m.Meet(b)
		if !a.LessEq(j) || !b.LessEq(j) || !m.LessEq(a) || !m.LessEq(b) {
			t.Fatalf("join %v and meet %v of %v and %v are no bounds", j, m, a, b)
		}
		if a.LessEq(c) && b.LessEq(c) && !j.LessEq(c) {
			t.Fatalf("%v is no least bound: %v is less", j, c)
		}
		if c.LessEq(a) && c.LessEq(b) && !c.LessEq(m) {
			t.Fatalf("%v is no greatest bound: %v is greater", m, c)
		}
	})
}

// Sum respects the order.
func TestSumRespectsTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, "a"), draw(t, "b")
		if a.LessEq(b) && !a.Equal(b) && a.Sum() >= b.Sum() {
			t.Fatalf("%v is before %v, its sum is not", a, b)
		}
	})
}
