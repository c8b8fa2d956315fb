// SPDX-License-Identifier: Apache-2.0

package water

import (
	"math"

	"lazystate/bench/apps/dsmapps/program"
)

// order of the predictor-corrector: positions and five derivatives, the k-th
// times dt^k/k!.
const order = 6

const dt = 0.002

// correction is Gear's, for accelerations that depend on positions only.
var correction = [order]float64{3. / 20, 251. / 360, 1, 11. / 18, 1. / 6, 1. / 60}

var masses = [3]float64{massO, massH, massH}

// molecule is 512 bytes, as large as SPLASH-2's within a few.
type molecule struct {
	Orders [order]sites
	Force  forces
	Next   int64 // in a cell's list: the number + 1, or 0
}

// place puts molecule i of the lattice where it begins: all look the same way, and
// move at random as at 300 K.
func (m *molecule) place(s *Size, i int) {
	*m = molecule{}
	rng := program.Random(4, uint64(i))
	at := [3]float64{float64(i / (s.Side * s.Side)), float64(i / s.Side % s.Side), float64(i % s.Side)}
	half := lengthH / 2
	bend := [3][3]float64{{}, {half, math.Sqrt(lengthB*lengthB - half*half), 0}, {-half, math.Sqrt(lengthB*lengthB - half*half), 0}}
	for site := range 3 {
		speed := math.Sqrt(0.0083145 * 300 / masses[site])
		for a := range 3 {
			m.Orders[0][3*site+a] = spacing*(at[a]+0.5) + bend[site][a]
			m.Orders[1][3*site+a] = dt * speed * rng.NormFloat64()
		}
	}
}

// predict goes one step on, by what is known of the motion.
func (m *molecule) predict() {
	for from := range order {
		for k := order - 2; k >= from; k-- {
			for i := range m.Orders[k] {
				m.Orders[k][i] += m.Orders[k+1][i]
			}
		}
	}
}

// settle brings a molecule into the box, by its oxygen.
func (m *molecule) settle(b box) {
	for a := range 3 {
		by := b.wrap(m.Orders[0][a])
		for site := range 3 {
			m.Orders[0][3*site+a] += by
		}
	}
}

// accelerated is what the forces say of the second derivative.
func (m *molecule) accelerated(i int) float64 { return m.Force[i].Float() / masses[i/3] * dt * dt / 2 }

// start takes the first forces over.
func (m *molecule) start() {
	for i := range m.Force {
		m.Orders[2][i] = m.accelerated(i)
	}
}

// correct takes the forces into account, and returns the kinetic energy.
func (m *molecule) correct() program.Fixed {
	energy := 0.0
	for i := range m.Force {
		off := m.accelerated(i) - m.Orders[2][i]
		for k := range order {
			m.Orders[k][i] += correction[k] * off
		}
		v := m.Orders[1][i] / dt
		energy += masses[i/3] / 2 * v * v
	}
	return program.Fix(energy)
}
