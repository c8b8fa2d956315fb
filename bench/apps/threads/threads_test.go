// SPDX-License-Identifier: Apache-2.0

package threads

import (
	"strings"
	"testing"

	"lazystate/bench/apps/dsmapps/sor"
)

// However many threads, the result is that of the sequential program in Go, to the bit.
func TestSame(t *testing.T) {
	p, err := Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, z := range []Sizes{{3, 1, 1}, {40, 7, 2}, {33, 5, 3}, {5, 2, 9}} {
		r, err := p.Run(t.Context(), z)
		if err != nil {
			t.Fatal(err)
		}
		if want := (&sor.SOR{Size: z.Size, Iterations: z.Iterations}).Sequential(); r.Digest != want || r.Seconds <= 0 {
			t.Errorf("%+v: %+v, not %s", z, r, want)
		}
	}
	if _, err := p.Run(t.Context(), Sizes{2, 1, 1}); err == nil {
		t.Error("a grid of two points")
	}
	if _, err := Parse(strings.NewReader("who?")); err == nil {
		t.Error("a result that is none")
	}
}
