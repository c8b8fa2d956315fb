// SPDX-License-Identifier: Apache-2.0

package barnes

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// shape is all that a tree says, apart from where its cells are.
func (t *tree) shape(at int32, b *strings.Builder) {
	c := &t.cells[at]
	fmt.Fprintf(b, "%d %v %d", c.Count, c.Sum, c.Cost)
	if c.Leaf {
		fmt.Fprint(b, c.list())
		return
	}
	b.WriteString("(")
	for o, below := range c.Below {
		if below != 0 {
			fmt.Fprintf(b, " %d:", o)
			t.shape(below, b)
		}
	}
	b.WriteString(")")
}

func (t *tree) String() string {
	var b strings.Builder
	t.shape(root, &b)
	return b.String()
}

// The tree is the same in whatever parts and order it is built.
func TestTreeIsOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		coordinate := rapid.SampledFrom([]float64{-1, -0.999, 0, 1e-9, 0.3, 0.3000001, 0.9})
		bodies := make([]body, rapid.IntRange(1, 60).Draw(t, "bodies"))
		for i := range bodies {
			at := rapid.OneOf(rapid.Custom(func(t *rapid.T) vector {
				return vector{coordinate.Draw(t, "x"), coordinate.Draw(t, "y"), coordinate.Draw(t, "z")}
			}), rapid.Custom(func(t *rapid.T) vector {
				return vector{rapid.Float64Range(-1, 1).Draw(t, "x"), 0, 0.3}
			})).Draw(t, "position")
			bodies[i] = body{Pos: at, Cost: int64(i%5 + 1)}
		}
		space := cube{half: 1}
		one := &tree{bodies: bodies, cells: make([]cell, 40000), next: 1, end: 40000}
		for i := range bodies {
			one.put(root, space, 0, int32(i))
		}
		nodes := rapid.IntRange(1, 4).Draw(t, "nodes")
		parts := make([][]int32, nodes)
		for i := range bodies {
			n := rapid.IntRange(0, nodes-1).Draw(t, "node")
			parts[n] = append(parts[n], int32(i))
		}
		many := &tree{bodies: bodies, cells: make([]cell, 80000)}
		none := func(_ int32, do func()) { do() }
		for n, part := range parts {
			many.next, many.end = int32(n*20000+1), int32(n*20000+20000)
			own := many.take(cell{})
			for _, b := range part {
				many.put(own, space, 0, b)
			}
			many.merge(none, pair{root, own, space}, 0)
		}
		if one.err != nil || many.err != nil {
			if (one.err == nil) != (many.err == nil) {
				t.Fatalf("%v, %v", one.err, many.err)
			}
			return // more bodies at one point than a leaf holds
		}
		if one.String() != many.String() {
			t.Errorf("%v\n%v", one, many)
		}
	})
}

// Forces are near to the sum over all bodies, the nearer the smaller theta is.
func TestForce(t *testing.T) {
	p := &Barnes{Bodies: 500, Steps: 1, Theta: 1}
	off := func(theta float64) float64 {
		tr := &tree{bodies: make([]body, p.Bodies), cells: make([]cell, 5000), next: 1, end: 5000}
		all := nowhere
		for i := range tr.bodies {
			tr.bodies[i].place(i)
			all.reach(tr.bodies[i].Pos, tr.bodies[i].Pos)
		}
		for i := range tr.bodies {
			tr.put(root, all.cube(), 0, int32(i))
		}
		sum := 0.0
		for i := range tr.bodies {
			got, _ := tr.force(int32(i), root, all.cube(), theta)
			exact := viewer{tree: tr, pos: tr.bodies[i].Pos, mass: 1 / float64(p.Bodies)}
			for j := range tr.bodies {
				if j != i {
					d, r2 := exact.to(tr.bodies[j].Pos)
					exact.feel(d, r2, 1)
				}
			}
			d, size := 0.0, 0.0
			for a := range got {
				d += (got[a] - exact.acc[a]) * (got[a] - exact.acc[a])
				size += exact.acc[a] * exact.acc[a]
			}
			sum += math.Sqrt(d / size)
		}
		return sum / float64(p.Bodies)
	}
	wide, narrow, none := off(1), off(0.5), off(1e-3)
	if wide > 0.08 || narrow > wide/2 || none > 1e-12 {
		t.Errorf("forces are off by %g, %g and %g for theta 1, 0.5 and 0.001", wide, narrow, none)
	}
}

// Zones of any number of nodes have every body once, and cost about the same.
func TestZones(t *testing.T) {
	tr := &tree{bodies: make([]body, 1000), cells: make([]cell, 5000), next: 1, end: 5000}
	for i := range tr.bodies {
		tr.bodies[i].place(i)
		tr.bodies[i].Cost = int64(1 + i*i%97)
		tr.put(root, cube{half: 100}, 0, int32(i))
	}
	total := tr.cells[root].Cost
	for nodes := 1; nodes <= 9; nodes++ {
		seen := make([]int, len(tr.bodies))
		for n := range nodes {
			z := zone{tree: tr, from: total * int64(n) / int64(nodes), to: total * int64(n+1) / int64(nodes)}
			z.walk(root, 0)
			cost := int64(0)
			for _, b := range z.bodies {
				seen[b]++
				cost += tr.bodies[b].Cost
			}
			if d := cost - total/int64(nodes); d < -100 || d > 100 {
				t.Errorf("node %d of %d has costs of %d of %d", n, nodes, cost, total)
			}
		}
		for b, count := range seen {
			if count != 1 {
				t.Fatalf("body %d is in %d zones of %d", b, count, nodes)
			}
		}
	}
}

// What a tree has no room for is said.
func TestFullTree(t *testing.T) {
	for _, cells := range []int32{2, 5, 40} {
		tr := &tree{bodies: make([]body, 300), cells: make([]cell, cells), next: 1, end: cells}
		for i := range tr.bodies {
			tr.bodies[i].place(i)
			tr.put(root, cube{half: 100}, 0, int32(i))
		}
		if tr.err == nil {
			t.Errorf("300 bodies in %d cells", cells)
		}
	}
	same := &tree{bodies: make([]body, leafBodies+1), cells: make([]cell, 1000), next: 1, end: 1000}
	for i := range same.bodies {
		same.put(root, cube{half: 1}, 0, int32(i))
	}
	if same.err == nil || !strings.Contains(same.err.Error(), "more than 8 bodies at") {
		t.Error(same.err)
	}
}
