// SPDX-License-Identifier: Apache-2.0

package barnes

import (
	"errors"
	"fmt"

	"lazystate/bench/apps/dsmapps/program"
)

// leafBodies is how many a leaf holds at most.
const leafBodies = 8

// deepest is how far the tree goes: 2^-50 of space.
const deepest = 50

// cell is a part of the tree. Below is cells and leaves by octant, 0 for none; a
// leaf's are the bodies' numbers, in order.
type cell struct {
	Count int32
	Leaf  bool
	Below [8]int32
	Sum   [3]program.Fixed // of positions: all bodies weigh the same
	Cost  int64
}

// add counts what comes below.
func (c *cell) add(d *cell) {
	c.Count += d.Count
	c.Cost += d.Cost
	for a := range c.Sum {
		c.Sum[a] += d.Sum[a]
	}
}

// alone is a body as a leaf.
func (t *tree) alone(b int32) cell {
	c := cell{Count: 1, Leaf: true, Below: [8]int32{b}, Cost: t.bodies[b].Cost}
	for a, x := range t.bodies[b].Pos {
		c.Sum[a] = program.Fix(x)
	}
	return c
}

// list are a leaf's bodies.
func (c *cell) list() []int32 { return c.Below[:c.Count] }

// insert keeps a leaf's bodies in order.
func (c *cell) insert(b int32) {
	i := c.Count
	for ; i > 0 && c.Below[i-1] > b; i-- {
		c.Below[i] = c.Below[i-1]
	}
	c.Below[i] = b
}

// tree is the shared cells, of which from next to end are this node's to take.
type tree struct {
	cells     []cell
	bodies    []body
	next, end int32
	err       error
}

var errRoom = errors.New("the tree needs more cells than its nodes have: --cells")

// take gives a new cell. Where none is left it says so in err and gives the last
// again.
func (t *tree) take(c cell) int32 {
	if t.next == t.end {
		t.err, t.next = errRoom, t.end-1
	}
	t.cells[t.next] = c
	t.next++
	return t.next - 1
}

// insert puts a leaf's bodies below a cell that nobody else can see.
func (t *tree) insert(root int32, space cube, depth int, leaf *cell) {
	for _, b := range leaf.list() {
		t.put(root, space, depth, b)
	}
}

// put puts a body below a cell that nobody else can see.
func (t *tree) put(root int32, space cube, depth int, b int32) {
	one := t.alone(b)
	for at := root; ; depth++ {
		t.cells[at].add(&one)
		o := space.octant(t.bodies[b].Pos)
		space = space.part(o)
		below := t.cells[at].Below[o]
		switch {
		case t.err != nil:
			return
		case below == 0:
			t.cells[at].Below[o] = t.take(one)
			return
		case t.cells[below].Leaf && t.cells[below].Count < leafBodies:
			t.cells[below].insert(b)
			t.cells[below].add(&one)
			return
		case t.cells[below].Leaf:
			below = t.split(below, space, depth+1)
			t.cells[at].Below[o] = below
		}
		at = below
	}
}

// split makes a cell of a leaf.
func (t *tree) split(leaf int32, space cube, depth int) int32 {
	if depth > deepest {
		t.err = fmt.Errorf("more than %d bodies at %v", leafBodies, space.center)
		return leaf
	}
	old := t.cells[leaf]
	c := t.take(cell{})
	t.insert(c, space, depth, &old)
	return c
}
