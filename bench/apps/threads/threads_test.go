// SPDX-License-Identifier: Apache-2.0

package threads

import (
	"strings"
	"testing"

	"lazystate/bench/apps/dsmapps/lu"
	"lazystate/bench/apps/dsmapps/program"
	"lazystate/bench/apps/dsmapps/sor"
)

// However many threads, the result is that of the sequential program in Go, to the bit.
func TestSame(t *testing.T) {
	for _, c := range []struct {
		work       *Work
		sequential func(a, b int) program.Digest
		runs       [][3]int // two sizes, threads
		none       [2]int   // sizes that are none
	}{
		{SOR(1, 1), func(a, b int) program.Digest { return (&sor.SOR{Size: a, Iterations: b}).Sequential() }, [][3]int{{3, 1, 1}, {40, 7, 2}, {33, 5, 3}, {5, 2, 9}}, [2]int{2, 1}},
		{LU(1), func(a, b int) program.Digest { return (&lu.LU{Size: a, Block: b}).Sequential() }, [][3]int{{1, 1, 1}, {40, 8, 1}, {48, 8, 2}, {30, 5, 6}, {64, 16, 5}}, [2]int{9, 2}},
	} {
		p, err := Build(t.Context(), t.TempDir(), c.work.Name)
		if err != nil {
			t.Fatal(err)
		}
		run := func(a, b, threads int) (Result, error) {
			c.work.Sizes[0].Value, c.work.Sizes[1].Value = a, b
			return p.Run(t.Context(), c.work, threads)
		}
		for _, z := range c.runs {
			r, err := run(z[0], z[1], z[2])
			if err != nil {
				t.Fatal(err)
			}
			if want := c.sequential(z[0], z[1]); r.Digest != want || r.Seconds <= 0 {
				t.Errorf("%s, %v: %+v, not %s", c.work.Name, z, r, want)
			}
		}
		if _, err := run(c.none[0], c.none[1], 1); err == nil {
			t.Errorf("%v of %s", c.none, c.work.Name)
		}
	}
	if _, err := Parse(strings.NewReader("who?")); err == nil {
		t.Error("a result that is none")
	}
}
