// SPDX-License-Identifier: Apache-2.0

package water

import (
	"math"

	"lazystate/bench/apps/dsmapps/program"
)

// Lengths are in angstrom, masses in atomic units, energies in kJ/mol: so a unit
// of time is 100 fs. Water is the simple point charge model's, with springs.
const (
	spacing = 3.104 // of molecules at 1 g/cm3
	reach   = 8.0   // of forces between molecules
	massO   = 15.9994
	massH   = 1.00794
	coulomb = 1389.35
	chargeO = -0.82
	chargeH = 0.41
	sigma   = 3.166 // of the oxygens' attraction and repulsion
	epsilon = 0.650
	lengthB = 1.0 // of the bonds
	springB = 4431.0
	lengthH = 1.633 // between the hydrogens
	springH = 1860.0
)

// sites are the positions of O, H and H, or what else has three axes for each.
type sites [9]float64

// forces have no order.
type forces [9]program.Fixed

func (f *forces) add(g *forces) {
	for i := range f {
		f[i] += g[i]
	}
}

// push adds a force to one site and takes it from another.
func (f *sites) push(i, j int, d [3]float64, by float64) {
	for a := range 3 {
		f[3*i+a] += by * d[a]
		f[3*j+a] -= by * d[a]
	}
}

// within are the forces of a molecule's springs, and their energy.
func within(p *sites) (forces, program.Fixed) {
	var f sites
	energy := 0.0
	for _, s := range [3]struct {
		i, j             int
		length, strength float64
	}{{0, 1, lengthB, springB}, {0, 2, lengthB, springB}, {1, 2, lengthH, springH}} {
		d := [3]float64{p[3*s.i] - p[3*s.j], p[3*s.i+1] - p[3*s.j+1], p[3*s.i+2] - p[3*s.j+2]}
		r := math.Sqrt(d[0]*d[0] + d[1]*d[1] + d[2]*d[2])
		energy += s.strength / 2 * (r - s.length) * (r - s.length)
		f.push(s.i, s.j, d, -s.strength*(r-s.length)/r)
	}
	return f.fixed(), program.Fix(energy)
}

func (f *sites) fixed() (g forces) {
	for i := range f {
		g[i] = program.Fix(f[i])
	}
	return g
}

var charges = [3]float64{chargeO, chargeH, chargeH}

// between adds the forces of two molecules on each other, the one with the lower
// number first, and returns their energy.
func (b box) between(p, q *sites, fp, fq *forces) program.Fixed {
	var shift, d [3]float64
	r2 := 0.0
	for a := range d {
		d[a] = p[a] - q[a]
		shift[a] = b.image(d[a])
		d[a] += shift[a]
		r2 += d[a] * d[a]
	}
	if r2 >= b.cutoff*b.cutoff {
		return 0
	}
	r := math.Sqrt(r2)
	fade, slope := b.fading(r)
	var f, g sites
	energy := oxygens(r2, d, &f, &g)
	for i := range 3 {
		for j := range 3 {
			energy += charged(p, q, shift, i, j, &f, &g)
		}
	}
	for i := range f {
		f[i], g[i] = fade*f[i], fade*g[i]
	}
	for a := range d { // less and less of an energy is a force, too
		f[a] -= slope * energy / r * d[a]
		g[a] += slope * energy / r * d[a]
	}
	for i := range f {
		fp[i] += program.Fix(f[i])
		fq[i] += program.Fix(g[i])
	}
	return program.Fix(fade * energy)
}

// fading goes smoothly from 1 to 0.
func (b box) fading(r float64) (fade, slope float64) {
	t := (r - b.fade) / (b.cutoff - b.fade)
	if t <= 0 {
		return 1, 0
	}
	return 1 - t*t*t*(10-t*(15-6*t)), -30 * t * t * (1 - t) * (1 - t) / (b.cutoff - b.fade)
}

// oxygens attract each other, and repel when they are near.
func oxygens(r2 float64, d [3]float64, f, g *sites) float64 {
	s6 := sigma * sigma / r2
	s6 *= s6 * s6
	by := 24 * epsilon * (2*s6*s6 - s6) / r2
	for a := range d {
		f[a] += by * d[a]
		g[a] -= by * d[a]
	}
	return 4 * epsilon * (s6*s6 - s6)
}

// charged is the force of two sites' charges.
func charged(p, q *sites, shift [3]float64, i, j int, f, g *sites) float64 {
	var d [3]float64
	r2 := 0.0
	for a := range d {
		d[a] = p[3*i+a] - q[3*j+a] + shift[a]
		r2 += d[a] * d[a]
	}
	energy := coulomb * charges[i] * charges[j] / math.Sqrt(r2)
	for a := range d {
		f[3*i+a] += energy / r2 * d[a]
		g[3*j+a] -= energy / r2 * d[a]
	}
	return energy
}
