// SPDX-License-Identifier: Apache-2.0

package logs

import (
	"cmp"
	"slices"
)

// entry is one of a log that is in the order of its numbers: of operations,
// barriers or intervals.
type entry interface{ number() uint64 }

func (a Acquire) number() uint64 { return a.Ordinal }
func (b Barrier) number() uint64 { return b.Number }
func (c Cut) number() uint64     { return c.Interval } // and of a Notice
func (d Diff) number() uint64    { return d.Interval }

// find is where the entry of a number is, or would be.
func find[T entry](list []T, number uint64) (int, bool) {
	return slices.BinarySearchFunc(list, number, func(e T, n uint64) int { return cmp.Compare(e.number(), n) })
}

// insert puts an entry in its place. What is known stays.
func insert[T entry](list []T, e T) []T {
	if i, known := find(list, e.number()); !known {
		return slices.Insert(list, i, e)
	}
	return list
}

// beyond returns the entries above a bound, which may be the greatest number
// there is.
func beyond[T entry](list []T, bound uint64) []T {
	i, _ := slices.BinarySearchFunc(list, bound, func(e T, b uint64) int {
		if e.number() <= b {
			return -1
		}
		return 1
	})
	return list[i:]
}

// trim discards the entries up to a bound, and their memory.
func trim[T entry](list []T, bound uint64) []T {
	keep := beyond(list, bound)
	if len(keep) == len(list) {
		return list
	}
	return slices.Clone(keep)
}
