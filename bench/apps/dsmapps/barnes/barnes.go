// SPDX-License-Identifier: Apache-2.0

package barnes

import (
	"errors"
	"flag"
	"unsafe"

	"lazystate/bench/apps/dsmapps/program"
	"lazystate/dsm/client"
)

// Barnes is the program with its sizes.
type Barnes struct {
	Bodies int
	Steps  int
	Theta  float64 // accuracy: the size of a cell over its distance
	Cells  int     // of the tree, a node; 0: enough, as a rule
}

func (p *Barnes) Flags(fs *flag.FlagSet) {
	fs.IntVar(&p.Bodies, "bodies", 4096, "bodies")
	fs.IntVar(&p.Steps, "steps", 10, "steps in time")
	fs.Float64Var(&p.Theta, "theta", 1.0, "size over distance of a cell that is seen as one; smaller is more exact")
	fs.IntVar(&p.Cells, "cells", 0, "cells of the tree that a node can make; 0: by the number of bodies")
}

func (p *Barnes) Check() error {
	if p.Bodies < 1 || p.Bodies > 1<<24 || p.Steps < 1 || !(p.Theta > 0) || p.Cells < 0 {
		return errors.New("1 to 16777216 bodies, 1 step or more, theta above 0")
	}
	return nil
}

// maxLocks is what SPLASH-2's program shares its cells among.
const maxLocks = 2048

func (p *Barnes) room(nodes int) int {
	if p.Cells > 0 {
		return p.Cells
	}
	return 2*p.Bodies/nodes + 4096
}

func (p *Barnes) Needs(nodes int) program.Needs {
	cells := p.room(nodes) * nodes * int(unsafe.Sizeof(cell{}))
	return program.Needs{Bytes: cells + p.Bodies*int(unsafe.Sizeof(body{})) + nodes*int(unsafe.Sizeof(bounds{})), Locks: maxLocks}
}

// root of the tree of all: node 0's first cell. A node's own is its second.
const root = 0

// galaxy is a node's view of all bodies.
type galaxy struct {
	*Barnes
	*client.Node
	tree
	bounds      []bounds // by node
	lock        int
	first, past int32 // this node's cells
	space       cube
	mine        []int32 // bodies; private state
}

// Parallel has a step in time a step, which begins by moving the bodies; the last
// step only does that.
func (p *Barnes) Parallel(n *client.Node, progress program.Progress) (program.Digest, error) {
	cells := p.room(n.Nodes())
	g := &galaxy{Barnes: p, Node: n, first: int32(n.ID() * cells), past: int32((n.ID() + 1) * cells)}
	g.bodies, g.cells = client.Slice[body](n, p.Bodies), client.Slice[cell](n, n.Nodes()*cells)
	g.bounds, g.lock = client.Slice[bounds](n, n.Nodes()), n.Locks(maxLocks)
	n.Private("bodies", &g.mine)
	n.Run(func(k int) bool {
		if k == 0 {
			g.place()
		} else {
			g.move(k)
		}
		g.measure()
		n.Barrier()
		if k == p.Steps {
			return false
		}
		if g.build(); g.err != nil {
			return false
		}
		n.Barrier()
		g.share()
		g.attract()
		n.Barrier()
		if n.ID() == 0 {
			progress(k+1, p.Steps)
		}
		return true
	})
	if n.ID() > 0 || g.err != nil {
		return "", g.err
	}
	return digest(g.bodies), nil
}

func (g *galaxy) place() {
	from, to := program.Part(g.Bodies, g.Nodes(), g.ID())
	for i := from; i < to; i++ {
		g.bodies[i].place(i)
		g.mine = append(g.mine, int32(i))
	}
}

func (g *galaxy) move(k int) {
	for _, b := range g.mine {
		g.bodies[b].move(k == 1)
	}
}

// measure notes the bounds of this node's bodies. Node 0 clears the root.
func (g *galaxy) measure() {
	all := nowhere
	for _, b := range g.mine {
		all.reach(g.bodies[b].Pos, g.bodies[b].Pos)
	}
	g.bounds[g.ID()] = all
	if g.ID() == 0 {
		g.cells[root] = cell{}
	}
}

// build makes this node's tree and merges it into that of all.
func (g *galaxy) build() {
	all := nowhere
	for _, b := range g.bounds {
		all.reach(b.Low, b.High)
	}
	g.space = all.cube()
	g.next, g.end = g.first+1, g.past // the root's place is free at all nodes
	own := g.take(cell{})
	for _, b := range g.mine {
		g.put(own, g.space, 0, b)
	}
	g.merge(g.under, pair{root, own, g.space}, 0)
}

func (g *galaxy) under(c int32, do func()) {
	lock := g.lock + int(c)%maxLocks
	g.Lock(lock)
	do()
	g.Unlock(lock)
}

// share gives this node its zone: the bodies of an equal part of all costs, in
// the order of the tree.
func (g *galaxy) share() {
	total := g.cells[root].Cost
	z := zone{tree: &g.tree, from: total * int64(g.ID()) / int64(g.Nodes()), to: total * int64(g.ID()+1) / int64(g.Nodes())}
	z.walk(root, 0)
	g.mine = z.bodies
}

// zone is what lies between two sums of costs.
type zone struct {
	*tree
	from, to int64
	bodies   []int32
}

func (z *zone) walk(at int32, before int64) {
	c := &z.cells[at]
	if before >= z.to || before+c.Cost <= z.from {
		return
	}
	if !c.Leaf {
		for _, below := range c.Below {
			if below != 0 {
				z.walk(below, before)
				before += z.cells[below].Cost
			}
		}
		return
	}
	for _, b := range c.list() {
		if before >= z.from && before < z.to {
			z.bodies = append(z.bodies, b)
		}
		before += z.tree.bodies[b].Cost
	}
}

// attract finds the forces on this node's bodies.
func (g *galaxy) attract() {
	for _, b := range g.mine {
		g.bodies[b].Acc, g.bodies[b].Took = g.force(b, root, g.space, g.Theta)
	}
}

func digest(bodies []body) program.Digest {
	h := program.NewHash()
	for i := range bodies {
		program.Add(h, []vector{bodies[i].Pos, bodies[i].Vel})
	}
	return h.Digest()
}

// Sequential puts body by body into one tree.
func (p *Barnes) Sequential() program.Digest { return digest(p.sequential()) }

func (p *Barnes) sequential() []body {
	t := &tree{bodies: make([]body, p.Bodies), cells: make([]cell, 2*p.Bodies+4096)}
	for i := range t.bodies {
		t.bodies[i].place(i)
	}
	for k := range p.Steps {
		all := nowhere
		for i := range t.bodies {
			all.reach(t.bodies[i].Pos, t.bodies[i].Pos)
		}
		space := all.cube()
		t.next, t.end = 1, int32(len(t.cells))
		t.cells[root] = cell{}
		for i := range t.bodies {
			t.put(root, space, 0, int32(i))
		}
		for i := range t.bodies {
			t.bodies[i].Acc, t.bodies[i].Took = t.force(int32(i), root, space, p.Theta)
		}
		for i := range t.bodies {
			t.bodies[i].move(k == 0)
		}
	}
	return t.bodies
}
