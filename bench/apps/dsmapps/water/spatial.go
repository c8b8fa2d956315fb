// SPDX-License-Identifier: Apache-2.0

package water

import (
	"math"
	"slices"

	"lazystate/bench/apps/dsmapps/program"
	"lazystate/dsm/client"
)

// Spatial looks at pairs of molecules in neighbouring cells.
type Spatial struct{ Size }

// side is how many cells are along an edge: one is not smaller than the cutoff.
func (w *Spatial) side() int {
	b := w.box()
	return int(math.Floor(b.edge / b.cutoff))
}

func (w *Spatial) cells() int { return w.side() * w.side() * w.side() }

func (w *Spatial) locks() int { return min(w.cells(), maxLocks) }

func (w *Spatial) Needs(int) program.Needs {
	return program.Needs{Bytes: w.bytes() + 8*w.cells(), Locks: sumLocks + w.locks()}
}

// cells is the box in cells, each with a list of molecules.
type cells struct {
	*system
	side     int
	heads    []int64 // first molecule + 1
	lock     int     // the first of the cells'
	locks    int
	from, to int // this node's
}

func (c *cells) of(m *molecule) int {
	cell := 0
	for a := range 3 {
		x := int(m.Orders[0][a] / c.edge * float64(c.side))
		cell = cell*c.side + min(max(x, 0), c.side-1)
	}
	return cell
}

// list visits a cell's molecules.
func (c *cells) list(cell int, visit func(i int)) {
	for at := c.heads[cell]; at != 0; at = c.molecules[at-1].Next {
		visit(int(at - 1))
	}
}

// own visits this node's molecules.
func (c *cells) own(visit func(m *molecule)) {
	for cell := c.from; cell < c.to; cell++ {
		c.list(cell, func(i int) { visit(&c.molecules[i]) })
	}
}

func (c *cells) under(cell int, do func()) {
	lock := c.lock + cell%c.locks
	c.Lock(lock)
	do()
	c.Unlock(lock)
}

// enter puts molecules into the cells where they are.
func (c *cells) enter(molecules []int) {
	for _, i := range molecules {
		m := &c.molecules[i]
		cell := c.of(m)
		c.under(cell, func() { m.Next, c.heads[cell] = c.heads[cell], int64(i+1) })
	}
}

// leave takes molecules that have left this node's cells from their lists.
func (c *cells) leave() (left []int) {
	for cell := c.from; cell < c.to; cell++ {
		for at := &c.heads[cell]; *at != 0; {
			m := &c.molecules[*at-1]
			if c.of(m) == cell {
				at = &m.Next
				continue
			}
			left = append(left, int(*at-1))
			*at = m.Next
		}
	}
	return left
}

// around are a cell and those around it with a higher number, each once. In a
// small box a cell is on both sides.
func (c *cells) around(cell int) []int {
	x, y, z := cell/(c.side*c.side), cell/c.side%c.side, cell%c.side
	near := func(v, d int) int { return (v + d + c.side) % c.side }
	var all []int
	for d := range 27 {
		if n := (near(x, d/9-1)*c.side+near(y, d/3%3-1))*c.side + near(z, d%3-1); n >= cell {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// interact has the forces of this node's cells, and adds them to their molecules
// cell by cell.
func (c *cells) interact() {
	sums, touched := make([]forces, len(c.molecules)), make([]bool, len(c.heads))
	for cell := c.from; cell < c.to; cell++ {
		for _, other := range c.around(cell) {
			c.list(cell, func(i int) {
				c.list(other, func(j int) {
					if cell != other || i < j {
						c.pair(i, j, &sums[i], &sums[j])
					}
				})
			})
			touched[cell], touched[other] = true, true
		}
	}
	for cell, yes := range touched {
		if yes {
			c.under(cell, func() {
				c.list(cell, func(i int) { c.molecules[i].Force.add(&sums[i]) })
			})
		}
	}
}

// Parallel has a step in time a step; step 0 is the beginning.
func (w *Spatial) Parallel(n *client.Node, progress program.Progress) (program.Digest, error) {
	c := &cells{system: newSystem(n, w.Size), side: w.side(), heads: client.Slice[int64](n, w.cells()), lock: n.Locks(w.locks()), locks: w.locks()}
	c.from, c.to = program.Part(w.cells(), n.Nodes(), n.ID())
	n.Run(func(k int) bool {
		var come []int
		if k == 0 {
			come = c.begin()
		} else {
			c.own(c.predict)
			come = c.leave()
		}
		n.Barrier()
		c.enter(come)
		n.Barrier()
		c.interact()
		n.Barrier()
		c.finish(k, c.own)
		if n.ID() == 0 {
			progress(k, w.Steps)
		}
		return k < w.Steps
	})
	return c.end(), nil
}

// begin places a part of the molecules and returns it. Places are numbered as
// cells are, so that most are this node's.
func (c *cells) begin() (placed []int) {
	from, to := program.Part(len(c.molecules), c.Nodes(), c.ID())
	c.place(from, to)
	for i := from; i < to; i++ {
		c.alone(&c.molecules[i])
		placed = append(placed, i)
	}
	return placed
}
