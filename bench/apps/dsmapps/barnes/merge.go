// SPDX-License-Identifier: Apache-2.0

package barnes

// locker is what guards cells that others see, and the leaves below them.
type locker func(cell int32, do func())

// pair is a cell of the tree of all and one of a node's own, of the same space.
type pair struct {
	all, own int32
	space    cube
}

// merge brings a cell of the node's own tree into one of the tree of all. What is
// found below both is merged afterwards, without the lock.
func (t *tree) merge(under locker, p pair, depth int) {
	var later []pair
	under(p.all, func() {
		for o, own := range t.cells[p.own].Below {
			if own != 0 && t.err == nil {
				later = append(later, t.join(p, o, own, depth+1)...)
			}
		}
		t.cells[p.all].add(&t.cells[p.own])
	})
	for _, p := range later {
		t.merge(under, p, depth+1)
	}
}

// join brings what is in one octant of the node's own cell into the other's. It
// returns the pair where both have cells.
func (t *tree) join(p pair, o int, own int32, depth int) []pair {
	link := &t.cells[p.all].Below[o]
	space := p.space.part(o)
	all := *link
	switch {
	case all == 0:
		*link = own
	case t.cells[all].Leaf && t.cells[own].Leaf && t.cells[all].Count+t.cells[own].Count <= leafBodies:
		for _, b := range t.cells[own].list() {
			one := t.alone(b)
			t.cells[all].insert(b)
			t.cells[all].add(&one)
		}
	case t.cells[all].Leaf:
		if t.cells[own].Leaf {
			own = t.split(own, space, depth)
		}
		t.insert(own, space, depth, &t.cells[all])
		*link = own
	case t.cells[own].Leaf:
		return []pair{{all, t.split(own, space, depth), space}}
	default:
		return []pair{{all, own, space}}
	}
	return nil
}
