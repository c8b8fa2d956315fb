// SPDX-License-Identifier: Apache-2.0

package program

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestFixed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Float64Range(-1<<19, 1<<19).Draw(t, "v")
		if f := Fix(v); Fix(-v) != -f || math.Abs(f.Float()-v) > 1./(1<<36) {
			t.Errorf("%g is %g, its negative %d", v, f.Float(), Fix(-v))
		}
	})
	for _, v := range []float64{1 << 20, -1 << 20, math.Inf(1), math.NaN()} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%g was taken", v)
				}
			}()
			Fix(v)
		}()
	}
}

func TestParts(t *testing.T) {
	for nodes := 1; nodes < 9; nodes++ {
		at := 0
		for id := range nodes {
			from, to := Part(100, nodes, id)
			if from != at || to-from < 100/nodes || to-from > 100/nodes+1 {
				t.Errorf("part %d of %d is %d to %d", id, nodes, from, to)
			}
			at = to
		}
		if at != 100 {
			t.Errorf("%d nodes have %d of 100", nodes, at)
		}
	}
}

func TestDigests(t *testing.T) {
	a, b, c := NewHash(), NewHash(), NewHash()
	Add(a, []int32{1, 2})
	Add(b, []int32{1})
	Add(b, []int32{2})
	Add(c, []int32{2, 1})
	if a.Digest() != b.Digest() || a.Digest() == c.Digest() || len(a.Digest()) != 32 {
		t.Error("a digest is of the bytes, in order")
	}
}
