// SPDX-License-Identifier: Apache-2.0

package barnes

import (
	"math"

	"lazystate/bench/apps/dsmapps/program"
)

// Units of the model: the gravitational constant and all bodies' mass are 1.
const (
	dt        = 0.025
	softening = 0.05
)

type vector [3]float64

func (v *vector) add(w vector, by float64) {
	for a := range v {
		v[a] += by * w[a]
	}
}

// body is one of all. Cost is what its force took in the step before; Took, in
// this one.
type body struct {
	Pos, Vel, Acc vector
	Cost, Took    int64
}

// place puts body i of Plummer's model of a cluster of stars.
func (b *body) place(i int) {
	rng := program.Random(5, uint64(i))
	direction := func(length float64) (v vector) {
		z, phi := 2*rng.Float64()-1, 2*math.Pi*rng.Float64()
		flat := math.Sqrt(1 - z*z)
		return vector{length * flat * math.Cos(phi), length * flat * math.Sin(phi), length * z}
	}
	const scale = 3 * math.Pi / 16
	r := 1 / math.Sqrt(math.Pow(0.999*rng.Float64(), -2./3)-1) // none of the farthest
	x := 0.0
	for y := 0.1; y > x*x*math.Pow(1-x*x, 3.5); {
		x, y = rng.Float64(), 0.1*rng.Float64()
	}
	v := math.Sqrt2 * x / math.Pow(1+r*r, 0.25)
	*b = body{Pos: direction(scale * r), Vel: direction(v / math.Sqrt(scale)), Cost: 1}
}

// move is the leapfrog: velocities are half a step behind positions.
func (b *body) move(first bool) {
	by := dt
	if first {
		by = dt / 2
	}
	b.Vel.add(b.Acc, by)
	b.Pos.add(b.Vel, dt)
	b.Cost = max(b.Took, 1)
}

// cube is a part of space.
type cube struct {
	center vector
	half   float64
}

// octant is the part of a cube that a position lies in.
func (c cube) octant(p vector) int {
	o := 0
	for a := range p {
		if p[a] >= c.center[a] {
			o |= 1 << a
		}
	}
	return o
}

func (c cube) part(o int) cube {
	c.half /= 2
	for a := range c.center {
		if o>>a&1 == 1 {
			c.center[a] += c.half
		} else {
			c.center[a] -= c.half
		}
	}
	return c
}

// bounds are the least and greatest coordinates of some bodies.
type bounds struct{ Low, High vector }

var nowhere = bounds{vector{math.Inf(1), math.Inf(1), math.Inf(1)}, vector{math.Inf(-1), math.Inf(-1), math.Inf(-1)}}

func (b *bounds) reach(low, high vector) {
	for a := range low {
		b.Low[a], b.High[a] = math.Min(b.Low[a], low[a]), math.Max(b.High[a], high[a])
	}
}

// cube is one that holds all, with room at its edges.
func (b bounds) cube() cube {
	var c cube
	for a := range c.center {
		c.center[a] = (b.Low[a] + b.High[a]) / 2
		c.half = math.Max(c.half, 0.51*(b.High[a]-b.Low[a]))
	}
	return c
}
