// SPDX-License-Identifier: Apache-2.0

package lu

// block is a square part of the matrix, row by row.
type block []float64

// factor is the triangles of a block on the diagonal.
func (a block) factor(b int) {
	for k := range b {
		for i := k + 1; i < b; i++ {
			a[i*b+k] /= a[k*b+k]
			for j := k + 1; j < b; j++ {
				a[i*b+j] -= a[i*b+k] * a[k*b+j]
			}
		}
	}
}

// below divides a block below the diagonal by its upper triangle.
func (a block) below(diag block, b int) {
	for k := range b {
		for i := range b {
			a[i*b+k] /= diag[k*b+k]
			for j := k + 1; j < b; j++ {
				a[i*b+j] -= a[i*b+k] * diag[k*b+j]
			}
		}
	}
}

// right solves a block right of the diagonal by its lower triangle.
func (a block) right(diag block, b int) {
	for k := range b {
		for i := k + 1; i < b; i++ {
			for j := range b {
				a[i*b+j] -= diag[i*b+k] * a[k*b+j]
			}
		}
	}
}

// subtract takes away the product of a block below and one right of the diagonal.
func (a block) subtract(l, u block, b int) {
	for i := range b {
		row := a[i*b:][:b]
		for k := range b {
			f := l[i*b+k]
			for j, v := range u[k*b:][:b] {
				row[j] -= f * v
			}
		}
	}
}
