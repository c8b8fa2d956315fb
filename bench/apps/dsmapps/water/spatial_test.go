// SPDX-License-Identifier: Apache-2.0

package water

import "testing"

// Every pair of neighbouring cells is looked at by one of the two, in boxes of any
// number of cells.
func TestNeighbours(t *testing.T) {
	for side := 1; side <= 5; side++ {
		c := &cells{side: side}
		seen := map[[2]int]int{}
		for cell := range side * side * side {
			for _, other := range c.around(cell) {
				seen[[2]int{cell, other}]++
			}
		}
		near := func(a, b int) bool { d := (a - b + side) % side; return d <= 1 || d == side-1 }
		for p := range side * side * side {
			for q := p; q < side*side*side; q++ {
				want := 0
				if near(p/(side*side), q/(side*side)) && near(p/side%side, q/side%side) && near(p%side, q%side) {
					want = 1
				}
				if got := seen[[2]int{p, q}]; got != want || p != q && seen[[2]int{q, p}] != 0 {
					t.Errorf("side %d: cells %d and %d are looked at %d times, not %d", side, p, q, got, want)
				}
			}
		}
	}
}
