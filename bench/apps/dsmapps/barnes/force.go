// SPDX-License-Identifier: Apache-2.0

package barnes

import "math"

// viewer is a body and what it feels so far.
type viewer struct {
	*tree
	self  int32
	pos   vector
	mass  float64 // of one body
	wide  float64 // (1/theta)^2: a cell is one if its side is not larger than theta times its distance
	acc   vector
	count int64
}

// force is the acceleration of a body by all others, and how many it looked at.
func (t *tree) force(b int32, root int32, space cube, theta float64) (vector, int64) {
	v := viewer{tree: t, self: b, pos: t.bodies[b].Pos, mass: 1 / float64(len(t.bodies)), wide: 1 / (theta * theta)}
	v.look(root, 2*space.half)
	return v.acc, v.count
}

func (v *viewer) look(at int32, side float64) {
	c := &v.cells[at]
	var center vector
	for a := range center {
		center[a] = c.Sum[a].Float() / float64(c.Count)
	}
	d, r2 := v.to(center)
	switch {
	case r2 > side*side*v.wide:
		v.feel(d, r2, float64(c.Count))
	case c.Leaf:
		for _, b := range c.list() {
			if b != v.self {
				d, r2 := v.to(v.bodies[b].Pos)
				v.feel(d, r2, 1)
			}
		}
	default:
		for _, below := range c.Below {
			if below != 0 {
				v.look(below, side/2)
			}
		}
	}
}

func (v *viewer) to(p vector) (d vector, r2 float64) {
	for a := range d {
		d[a] = p[a] - v.pos[a]
		r2 += d[a] * d[a]
	}
	return d, r2
}

// feel is gravity, less than that of points for what is near.
func (v *viewer) feel(d vector, r2, bodies float64) {
	r2 += softening * softening
	v.acc.add(d, bodies*v.mass/(r2*math.Sqrt(r2)))
	v.count++
}
