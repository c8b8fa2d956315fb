// SPDX-License-Identifier: Apache-2.0

package water

import (
	"math"
	"testing"

	"lazystate/bench/apps/dsmapps/program"
)

// A force is what the energy loses over a small way, within a molecule, between
// two, and where a pair fades out.
func TestForcesAreSlopes(t *testing.T) {
	b := newBox(20)
	var p, q sites
	for i := range p {
		p[i] = program.Random(1, uint64(i)).Float64()
	}
	for _, far := range []float64{2.7, 3.5, 6.6, 7.3, 17} {
		for i := range q {
			q[i] = program.Random(2, uint64(i)).Float64()
		}
		q[0], q[3], q[6] = q[0]+far, q[3]+far, q[6]+far
		energy := func(p, q *sites) float64 {
			var drop forces
			_, e := within(p)
			return e.Float() + b.between(p, q, &drop, &drop).Float()
		}
		var f, drop forces
		b.between(&p, &q, &f, &drop)
		own, _ := within(&p)
		f.add(&own)
		const way = 1e-4
		for i := range p {
			up, down := p, p
			up[i] += way
			down[i] -= way
			want := (energy(&down, &q) - energy(&up, &q)) / (2 * way)
			if got := f[i].Float(); math.Abs(got-want) > 1e-3*math.Max(1, math.Abs(want)) {
				t.Errorf("distance %g, coordinate %d: %g, not %g", far, i, got, want)
			}
		}
	}
}

// Both see the same, but for the sign.
func TestPairsAreSymmetric(t *testing.T) {
	b := newBox(10)
	var p, q sites
	for i := range p {
		p[i], q[i] = program.Random(3, uint64(i)).Float64(), 2.5+program.Random(4, uint64(i)).Float64()
	}
	var f, g, f2, g2 forces
	if b.between(&p, &q, &f, &g) != b.between(&q, &p, &g2, &f2) || f != f2 || g != g2 {
		t.Error("a pair is not the same seen from the other side")
	}
	for a := range 3 {
		if sum := f[a] + f[3+a] + f[6+a] + g[a] + g[3+a] + g[6+a]; sum < -20 || sum > 20 {
			t.Errorf("a pair pushes itself: %d", sum)
		}
	}
}

// Total energy stays, while potential becomes kinetic and back.
func TestEnergyIsKept(t *testing.T) {
	s := Size{Side: 4, Steps: 150}
	_, steps := s.sequential()
	total := func(e energies) float64 { return (e.Potential + e.Kinetic).Float() }
	low, high := math.Inf(1), math.Inf(-1)
	for _, e := range steps[1:] {
		low, high = math.Min(low, e.Kinetic.Float()), math.Max(high, e.Kinetic.Float())
		if off := math.Abs(total(e) - total(steps[1])); off > 0.002*e.Kinetic.Float() {
			t.Fatalf("total energy went from %g by %g, kinetic is %g", total(steps[1]), off, e.Kinetic.Float())
		}
	}
	if high-low < 0.05*high {
		t.Errorf("nothing happens: kinetic energy between %g and %g", low, high)
	}
}
