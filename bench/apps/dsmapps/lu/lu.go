// SPDX-License-Identifier: Apache-2.0

package lu

import (
	"errors"
	"flag"

	"lazystate/bench/apps/dsmapps/program"
	"lazystate/dsm/client"
)

// LU is the program with its sizes.
type LU struct {
	Size  int // rows
	Block int // rows of a block
}

func (l *LU) Flags(fs *flag.FlagSet) {
	fs.IntVar(&l.Size, "size", 512, "rows of the matrix")
	fs.IntVar(&l.Block, "block", 16, "rows of a block")
}

func (l *LU) Check() error {
	if l.Block < 1 || l.Size < l.Block || l.Size%l.Block != 0 {
		return errors.New("the rows of the matrix are a multiple of the block's")
	}
	return nil
}

func (l *LU) Needs(int) program.Needs { return program.Needs{Bytes: 8 * l.Size * l.Size} }

// element is the matrix at the beginning: random, and large on the diagonal, so
// that it needs no pivots.
func (l *LU) element(i, j int) float64 {
	v := program.Random(1, uint64(i*l.Size+j)).Float64()
	if i == j {
		v += float64(l.Size)
	}
	return v
}

// matrix is one in blocks, which nodes own in a pattern of rows and columns.
type matrix struct {
	*LU
	blocks     []float64
	n          int // blocks in a row
	rows, cols int // of the pattern
	self       int
}

// pattern is as near to a square as the number of nodes allows.
func pattern(nodes int) (rows, cols int) {
	rows = 1
	for r := 1; r*r <= nodes; r++ {
		if nodes%r == 0 {
			rows = r
		}
	}
	return rows, nodes / rows
}

func (m *matrix) at(i, j int) block {
	size := m.Block * m.Block
	return m.blocks[(i*m.n+j)*size:][:size]
}

func (m *matrix) mine(i, j int) bool { return i%m.rows*m.cols+j%m.cols == m.self }

// each visits this node's blocks from row i and column j on.
func (m *matrix) each(i0, j0 int, visit func(i, j int, b block)) {
	for i := i0; i < m.n; i++ {
		for j := j0; j < m.n; j++ {
			if m.mine(i, j) {
				visit(i, j, m.at(i, j))
			}
		}
	}
}

func (m *matrix) fill() {
	m.each(0, 0, func(i, j int, b block) {
		for e := range b {
			b[e] = m.element(i*m.Block+e/m.Block, j*m.Block+e%m.Block)
		}
	})
}

// perimeter is what depends on a diagonal block alone.
func (m *matrix) perimeter(k int) {
	diag := m.at(k, k)
	for i := k + 1; i < m.n; i++ {
		if m.mine(i, k) {
			m.at(i, k).below(diag, m.Block)
		}
		if m.mine(k, i) {
			m.at(k, i).right(diag, m.Block)
		}
	}
}

func (m *matrix) interior(k int) {
	m.each(k+1, k+1, func(i, j int, b block) { b.subtract(m.at(i, k), m.at(k, j), m.Block) })
}

// Parallel takes one diagonal block a step. Its interior is the next step's, for
// a step ends with a barrier.
func (l *LU) Parallel(n *client.Node, progress program.Progress) (program.Digest, error) {
	rows, cols := pattern(n.Nodes())
	m := &matrix{l, client.Slice[float64](n, l.Size*l.Size), l.Size / l.Block, rows, cols, n.ID()}
	n.Run(func(k int) bool {
		if k == 0 {
			m.fill()
		} else {
			m.interior(k - 1)
		}
		if m.mine(k, k) {
			m.at(k, k).factor(l.Block)
		}
		n.Barrier()
		m.perimeter(k)
		n.Barrier()
		if n.ID() == 0 {
			progress(k+1, m.n)
		}
		return k+1 < m.n
	})
	if n.ID() > 0 {
		return "", nil
	}
	return m.digest(), nil
}

// digest takes the matrix by rows.
func (m *matrix) digest() program.Digest {
	h := program.NewHash()
	for i := range m.Size {
		for j := range m.n {
			program.Add(h, m.at(i/m.Block, j)[i%m.Block*m.Block:][:m.Block])
		}
	}
	return h.Digest()
}

// Sequential is the textbook's loops.
func (l *LU) Sequential() program.Digest {
	h := program.NewHash()
	program.Add(h, l.factored())
	return h.Digest()
}

func (l *LU) factored() []float64 {
	n := l.Size
	a := make([]float64, n*n)
	for e := range a {
		a[e] = l.element(e/n, e%n)
	}
	block(a).factor(n)
	return a
}
