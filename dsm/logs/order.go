// SPDX-License-Identifier: Apache-2.0

package logs

import (
	"cmp"
	"slices"
)

// entry is one of a log that is in the order of its numbers: of operations,
// barriers or intervals.
type entry interface{ number() uint32 }

func (a Acquire) number() uint32 { return a.Ordinal }
func (b Barrier) number() uint32 { return b.Number }
func (c Cut) number() uint32     { return c.Interval } // and of a Notice
func (d Diff) number() uint32    { return d.Interval }

// find is where the entry of a number is, or would be.
func find[T entry](list []T, number uint32) (int, bool) {
	return slices.BinarySearchFunc(list, number, func(e T, n uint32) int { return cmp.Compare(e.number(), n) })
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
func beyond[T entry](list []T, bound uint32) []T {
	i, _ := slices.BinarySearchFunc(list, bound, func(e T, b uint32) int {
		if e.number() <= b {
			return -1
		}
		return 1
	})
	return list[i:]
}

// trim discards the entries up to a bound, and their memory.
func trim[T entry](list []T, bound uint32) []T {
	keep := beyond(list, bound)
	if len(keep) == len(list) {
		return list
	}
	return slices.Clone(keep)
}
