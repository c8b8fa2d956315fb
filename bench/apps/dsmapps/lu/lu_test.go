// SPDX-License-Identifier: Apache-2.0

package lu

import (
	"math"
	"testing"
)

// The triangles' product is the matrix.
func TestFactorsMultiply(t *testing.T) {
	l := &LU{Size: 40, Block: 8}
	f, n := l.factored(), l.Size
	for i := range n {
		for j := range n {
			sum := 0.0
			for k := range min(i, j) + 1 {
				lower := f[i*n+k]
				if k == i {
					lower = 1
				}
				sum += lower * f[k*n+j]
			}
			if want := l.element(i, j); math.Abs(sum-want) > 1e-12*float64(n) {
				t.Fatalf("element %d, %d is %g, not %g", i, j, sum, want)
			}
		}
	}
}

// Nodes own all blocks, about as many each.
func TestPattern(t *testing.T) {
	for nodes := 1; nodes <= 12; nodes++ {
		rows, cols := pattern(nodes)
		if rows*cols != nodes || rows > cols {
			t.Errorf("%d nodes as %d times %d", nodes, rows, cols)
		}
		owned := 0
		for self := range nodes {
			m := &matrix{LU: &LU{Size: 12, Block: 1}, blocks: make([]float64, 144), n: 12, rows: rows, cols: cols, self: self}
			m.each(0, 0, func(int, int, block) { owned++ })
		}
		if owned != 144 {
			t.Errorf("%d nodes own %d of 144 blocks", nodes, owned)
		}
	}
}
