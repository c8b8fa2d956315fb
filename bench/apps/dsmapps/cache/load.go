// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"math"
	"sort"

	"lazystate/bench/apps/dsmapps/program"
)

// request reads a value, or adds to one of its words.
type request struct {
	key, word int
	write     bool
	delta     int64
}

// load is the stream of requests, the same whoever serves which.
type load struct {
	shares []float64 // of keys up to each
	writes int       // per cent
}

// newLoad gives key k a share of 1/(k+1)^skew.
func newLoad(keys, writes int, skew float64) *load {
	l := &load{make([]float64, keys), writes}
	sum := 0.0
	for k := range l.shares {
		sum += math.Pow(float64(k+1), -skew)
		l.shares[k] = sum
	}
	for k := range l.shares {
		l.shares[k] /= sum
	}
	return l
}

func (l *load) request(i int) request {
	rng := program.Random(3, uint64(i))
	key := min(sort.SearchFloat64s(l.shares, rng.Float64()), len(l.shares)-1)
	return request{key, rng.IntN(words - 1), rng.IntN(100) < l.writes, rng.Int64N(1 << 32)}
}
