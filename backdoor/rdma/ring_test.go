// SPDX-License-Identifier: Apache-2.0

package rdma

import (
	"testing"

	"pgregory.net/rapid"
)

// Pieces that are out lie inside the ring, apart from one another, and on lines of
// their own.
func TestRing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := ring{base: 4096, size: 1 << rapid.IntRange(8, 14).Draw(t, "bits")}
		type piece struct{ off, n, cost int }
		var out []piece
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			if len(out) > 0 && rapid.Bool().Draw(t, "give") {
				r.give(out[0].cost)
				out = out[1:]
				continue
			}
			n := rapid.IntRange(1, r.size/2).Draw(t, "n")
			off, cost, ok := r.take(n)
			if !ok {
				if len(out) == 0 {
					t.Fatalf("%d of %d bytes were refused with none out", n, r.size)
				}
				continue
			}
			if off%align != 0 || off < r.base || off+n > r.base+r.size {
				t.Fatalf("%d bytes at %d in a ring of %d", n, off, r.size)
			}
			for _, p := range out {
				if off < p.off+p.n && p.off < off+n {
					t.Fatalf("%d+%d overlaps %d+%d", off, n, p.off, p.n)
				}
			}
			out = append(out, piece{off, n, cost})
		}
	})
}
