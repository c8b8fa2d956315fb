// SPDX-License-Identifier: Apache-2.0

// Package barnes moves bodies by their gravity, in the manner of SPLASH-2's
// Barnes: an octree of space is built at each step, and a body sees a cell that
// is far away as one. Each node has the bodies of a zone of the tree that costs
// as much as the others', builds the tree of its own bodies alone, and merges it
// into the one of all, cell by cell under locks.
//
// The trap: the tree must not depend on who built it. A cell has cells below it
// if it has more bodies than a leaf holds, a leaf has its bodies in the order of
// their numbers, and the sums of a cell are program.Fixed.
//
//	p := &barnes.Barnes{Bodies: 16384, Steps: 60}
//	digest, err := p.Parallel(n, progress)
package barnes
