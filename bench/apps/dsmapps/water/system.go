// SPDX-License-Identifier: Apache-2.0

package water

import (
	"unsafe"

	"lazystate/bench/apps/dsmapps/program"
	"lazystate/dsm/client"
)

// energies are sums over all molecules after a step.
type energies struct{ Potential, Kinetic program.Fixed }

// system is a node's view of the water.
type system struct {
	Size
	box
	*client.Node
	molecules []molecule
	steps     []energies
	sum       int // lock of steps
	potential program.Fixed
}

// sumLocks are the locks that newSystem takes.
const sumLocks = 1

func newSystem(n *client.Node, s Size) *system {
	return &system{
		Size: s, box: s.box(), Node: n, sum: n.Locks(sumLocks),
		molecules: client.Slice[molecule](n, s.molecules()), steps: client.Slice[energies](n, s.Steps+1),
	}
}

func (s *Size) bytes() int {
	return s.molecules()*int(unsafe.Sizeof(molecule{})) + (s.Steps+1)*int(unsafe.Sizeof(energies{}))
}

// place puts a part of the molecules where they begin.
func (s *system) place(from, to int) {
	for i := from; i < to; i++ {
		s.molecules[i].place(&s.Size, i)
	}
}

// predict moves a molecule and begins its forces anew.
func (s *system) predict(m *molecule) {
	m.predict()
	m.settle(s.box)
	s.alone(m)
}

// alone is a molecule's force on itself.
func (s *system) alone(m *molecule) {
	var energy program.Fixed
	m.Force, energy = within(&m.Orders[0])
	s.potential += energy
}

// pair adds what two molecules do to each other to sums that the caller has.
func (s *system) pair(i, j int, fi, fj *forces) {
	if i > j {
		i, j, fi, fj = j, i, fj, fi
	}
	s.potential += s.between(&s.molecules[i].Orders[0], &s.molecules[j].Orders[0], fi, fj)
}

// finish corrects molecules by their forces, or starts them with these in step 0,
// and adds up the energies.
func (s *system) finish(k int, mine func(visit func(m *molecule))) {
	var kinetic program.Fixed
	mine(func(m *molecule) {
		if k == 0 {
			m.start()
		} else {
			kinetic += m.correct()
		}
	})
	s.Lock(s.sum)
	s.steps[k].Potential += s.potential
	s.steps[k].Kinetic += kinetic
	s.Unlock(s.sum)
	s.potential = 0
}

// end is the result, at node 0.
func (s *system) end() program.Digest {
	s.Barrier()
	if s.ID() > 0 {
		return ""
	}
	return digest(s.molecules, s.steps)
}

func digest(molecules []molecule, steps []energies) program.Digest {
	h := program.NewHash()
	for i := range molecules {
		program.Add(h, molecules[i].Orders[:2])
	}
	for _, e := range steps {
		program.Add(h, []program.Fixed{e.Potential, e.Kinetic})
	}
	return h.Digest()
}

// Sequential looks at all pairs in order. Both programs have it.
func (s Size) Sequential() program.Digest {
	return digest(s.sequential())
}

func (s Size) sequential() ([]molecule, []energies) {
	w := &system{Size: s, box: s.box(), molecules: make([]molecule, s.molecules()), steps: make([]energies, s.Steps+1)}
	w.place(0, s.molecules())
	for k := range w.steps {
		w.potential = 0
		for i := range w.molecules {
			if k > 0 {
				w.predict(&w.molecules[i])
			} else {
				w.alone(&w.molecules[i])
			}
		}
		for j := range w.molecules {
			for i := range j {
				w.pair(i, j, &w.molecules[i].Force, &w.molecules[j].Force)
			}
		}
		w.steps[k].Potential = w.potential
		for i := range w.molecules {
			if k > 0 {
				w.steps[k].Kinetic += w.molecules[i].correct()
			} else {
				w.molecules[i].start()
			}
		}
	}
	return w.molecules, w.steps
}
