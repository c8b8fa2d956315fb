// SPDX-License-Identifier: Apache-2.0

package radix

import (
	"errors"
	"flag"
	"slices"

	"lazystate/bench/apps/dsmapps/program"
	"lazystate/dsm/client"
)

// Radix is the program with its sizes.
type Radix struct {
	Keys  int
	Digit int // bits
}

func (r *Radix) Flags(fs *flag.FlagSet) {
	fs.IntVar(&r.Keys, "keys", 1<<18, "numbers to sort")
	fs.IntVar(&r.Digit, "digit", 10, "bits of a digit")
}

func (r *Radix) Check() error {
	if r.Keys < 1 || r.Digit < 1 || r.Digit > 16 {
		return errors.New("1 key or more, digits of 1 to 16 bits")
	}
	return nil
}

func (r *Radix) Needs(nodes int) program.Needs {
	return program.Needs{Bytes: 2*4*r.Keys + 4*nodes<<r.Digit + 3*4096}
}

func (r *Radix) passes() int { return (32 + r.Digit - 1) / r.Digit }

func key(i int) uint32 { return program.Random(2, uint64(i)).Uint32() }

// sorter is one node's part.
type sorter struct {
	*Radix
	keys     [2][]uint32
	counts   []uint32 // a row a node
	nodes    int
	self     int
	from, to int
}

func (s *sorter) digit(key uint32, pass int) int { return int(key>>(pass*s.Digit)) & (1<<s.Digit - 1) }

func (s *sorter) row(node int) []uint32 { return s.counts[node<<s.Digit:][:1<<s.Digit] }

// count is of this node's keys, by digit.
func (s *sorter) count(pass int) {
	count := make([]uint32, 1<<s.Digit)
	for _, k := range s.keys[pass%2][s.from:s.to] {
		count[s.digit(k, pass)]++
	}
	copy(s.row(s.self), count)
}

// places are where this node's first key of each digit goes: behind all keys of
// lower digits, and those of this one that nodes before it have.
func (s *sorter) places() []uint32 {
	at, before := make([]uint32, 1<<s.Digit), uint32(0)
	for d := range at {
		for node := range s.nodes {
			if node == s.self {
				at[d] = before
			}
			before += s.row(node)[d]
		}
	}
	return at
}

func (s *sorter) permute(pass int) {
	at, to := s.places(), s.keys[(pass+1)%2]
	for _, k := range s.keys[pass%2][s.from:s.to] {
		d := s.digit(k, pass)
		to[at[d]] = k
		at[d]++
	}
}

// Parallel has a step for each pass.
func (r *Radix) Parallel(n *client.Node, progress program.Progress) (program.Digest, error) {
	s := &sorter{Radix: r, nodes: n.Nodes(), self: n.ID()}
	s.keys[0], s.keys[1] = client.Slice[uint32](n, r.Keys), client.Slice[uint32](n, r.Keys)
	s.counts = client.Slice[uint32](n, n.Nodes()<<r.Digit)
	s.from, s.to = program.Part(r.Keys, n.Nodes(), n.ID())
	n.Run(func(pass int) bool {
		if pass == 0 {
			for i := s.from; i < s.to; i++ {
				s.keys[0][i] = key(i)
			}
		}
		s.count(pass)
		n.Barrier()
		s.permute(pass)
		n.Barrier()
		if n.ID() == 0 {
			progress(pass+1, r.passes())
		}
		return pass+1 < r.passes()
	})
	if n.ID() > 0 {
		return "", nil
	}
	return digest(s.keys[r.passes()%2]), nil
}

func digest(keys []uint32) program.Digest {
	h := program.NewHash()
	program.Add(h, keys)
	return h.Digest()
}

// Sequential sorts by comparisons.
func (r *Radix) Sequential() program.Digest {
	keys := make([]uint32, r.Keys)
	for i := range keys {
		keys[i] = key(i)
	}
	slices.Sort(keys)
	return digest(keys)
}
