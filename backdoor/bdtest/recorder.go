// SPDX-License-Identifier: Apache-2.0

package bdtest

// Recorder is a target that notes what lies where in it: what damages it
// must hit something.
type Recorder struct {
	*Target
	Areas []Area
}

// Area is n bytes at a virtual address.
type Area struct {
	VA uint64
	N  int
}

// Alloc is Target.Alloc, noted.
func (r *Recorder) Alloc(n int) uint64 {
	va := r.Target.Alloc(n)
	r.Areas = append(r.Areas, Area{va, n})
	return va
}
