// SPDX-License-Identifier: Apache-2.0

package water

import (
	"lazystate/bench/apps/dsmapps/program"
	"lazystate/dsm/client"
)

// Nsquared looks at all pairs of molecules.
type Nsquared struct{ Size }

// maxLocks is what SPLASH-2's programs share their molecules among.
const maxLocks = 2048

func (w *Nsquared) locks() int { return min(w.molecules(), maxLocks) }

func (w *Nsquared) Needs(int) program.Needs {
	return program.Needs{Bytes: w.bytes(), Locks: sumLocks + w.locks()}
}

// Parallel has a step in time a step; step 0 is the beginning.
func (w *Nsquared) Parallel(n *client.Node, progress program.Progress) (program.Digest, error) {
	s := newSystem(n, w.Size)
	lock := n.Locks(w.locks())
	count := w.molecules()
	from, to := program.Part(count, n.Nodes(), n.ID())
	own := func(visit func(m *molecule)) {
		for i := from; i < to; i++ {
			visit(&s.molecules[i])
		}
	}
	n.Run(func(k int) bool {
		if k == 0 {
			s.place(from, to)
			own(s.alone)
		} else {
			own(s.predict)
		}
		n.Barrier()
		sums := s.half(from, to)
		for d := range count { // each node begins somewhere else
			if i := (from + d) % count; sums[i] != (forces{}) {
				n.Lock(lock + i%w.locks())
				s.molecules[i].Force.add(&sums[i])
				n.Unlock(lock + i%w.locks())
			}
		}
		n.Barrier()
		s.finish(k, own)
		if n.ID() == 0 {
			progress(k, w.Steps)
		}
		return k < w.Steps
	})
	return s.end(), nil
}

// half are the forces of a part of the molecules with the half of all that
// follows each in a ring, so that every pair is seen once.
func (s *system) half(from, to int) []forces {
	count := len(s.molecules)
	sums := make([]forces, count)
	for i := from; i < to; i++ {
		last := count / 2
		if count%2 == 0 && i >= count/2 {
			last--
		}
		for d := 1; d <= last; d++ {
			j := (i + d) % count
			s.pair(i, j, &sums[i], &sums[j])
		}
	}
	return sums
}
