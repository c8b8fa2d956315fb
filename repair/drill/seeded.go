// SPDX-License-Identifier: Apache-2.0

package drill

import (
	"math/rand/v2"
	"slices"
	"strconv"
)

// Seeded returns the drills in an order of the seed, and with sizes of the
// seed: rogues up to a quarter larger, 1 to the listed number of hogs that fit.
// What a control stands for keeps its size. Seed 0 changes nothing.
func Seeded(drills []Drill, seed uint64) []Drill {
	all := slices.Clone(drills)
	if seed == 0 {
		return all
	}
	r := rand.New(rand.NewPCG(seed, 0))
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for i := range all {
		d := &all[i]
		d.Rogues = slices.Clone(d.Rogues)
		for j := range d.Rogues {
			d.Rogues[j].resize(func(n int) int {
				switch {
				case d.Name == "hogs-that-fit":
					return 1 + r.IntN(n)
				case d.Harmless:
					return n
				}
				return n + r.IntN(n/4+1)
			})
		}
	}
	return all
}

// resize changes the first number of a program: how many, or how large.
func (p *Program) resize(to func(n int) int) {
	if n, err := strconv.Atoi(p.Args[1]); err == nil {
		p.Args = slices.Clone(p.Args)
		p.Args[1] = strconv.Itoa(to(n))
	}
}
