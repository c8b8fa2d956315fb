// SPDX-License-Identifier: Apache-2.0

package sor

import (
	"errors"
	"flag"

	"lazystate/bench/apps/dsmapps/program"
	"lazystate/dsm/client"
)

// SOR is the program with its sizes.
type SOR struct {
	Size       int // points in a row, and rows, edges included
	Iterations int
}

// omega is the relaxation: below 1, the edges' heat moves slowly inward.
const omega = 0.8

func (s *SOR) Flags(fs *flag.FlagSet) {
	fs.IntVar(&s.Size, "size", 512, "points in a row of the grid")
	fs.IntVar(&s.Iterations, "iterations", 50, "sweeps of both colours")
}

func (s *SOR) Check() error {
	if s.Size < 3 || s.Iterations < 1 {
		return errors.New("a grid of 3 points a row or more, 1 iteration or more")
	}
	return nil
}

func (s *SOR) Needs(int) program.Needs { return program.Needs{Bytes: 8 * s.Size * s.Size} }

// grid is a square of points, row by row.
type grid struct {
	size   int
	points []float64
}

// heat is the boundary's, and cold inside.
func (g grid) heat(row int) {
	r := g.points[row*g.size:][:g.size]
	for x := range r {
		r[x] = 0
		if row == 0 || x == 0 {
			r[x] = 1
		}
	}
}

// relax goes over one colour's points of a row.
func (g grid) relax(row, colour int) {
	up, r, down := g.points[(row-1)*g.size:][:g.size], g.points[row*g.size:][:g.size], g.points[(row+1)*g.size:][:g.size]
	for x := 1 + (row+1+colour)%2; x < len(r)-1; x += 2 {
		r[x] += omega * (0.25*(up[x]+down[x]+r[x-1]+r[x+1]) - r[x])
	}
}

// Parallel computes in steps of one iteration; step 0 is the beginning.
func (s *SOR) Parallel(n *client.Node, progress program.Progress) (program.Digest, error) {
	g := grid{s.Size, client.Slice[float64](n, s.Size*s.Size)}
	from, to := program.Part(s.Size, n.Nodes(), n.ID())
	n.Run(func(k int) bool {
		if k == 0 {
			for row := from; row < to; row++ {
				g.heat(row)
			}
			n.Barrier()
			return true
		}
		for colour := range 2 {
			for row := max(from, 1); row < min(to, s.Size-1); row++ {
				g.relax(row, colour)
			}
			n.Barrier()
		}
		if n.ID() == 0 {
			progress(k, s.Iterations)
		}
		return k < s.Iterations
	})
	if n.ID() > 0 {
		return "", nil
	}
	return g.digest(), nil
}

func (g grid) digest() program.Digest {
	h := program.NewHash()
	program.Add(h, g.points)
	return h.Digest()
}

// Sequential sweeps a grid of its own in another order: by columns, and back.
func (s *SOR) Sequential() program.Digest {
	g := grid{s.Size, make([]float64, s.Size*s.Size)}
	for row := range s.Size {
		g.points[row*s.Size], g.points[row] = 1, 1
	}
	for range s.Iterations {
		for colour := range 2 {
			for x := s.Size - 2; x > 0; x-- {
				for y := s.Size - 2; y > 0; y-- {
					if (x+y)%2 != colour {
						continue
					}
					p := g.points[y*s.Size+x:]
					before := g.points[(y-1)*s.Size+x]
					p[0] += omega * (0.25*(before+p[s.Size]+g.points[y*s.Size+x-1]+p[1]) - p[0])
				}
			}
		}
	}
	return g.digest()
}
