// SPDX-License-Identifier: Apache-2.0

package useful

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lazystate/repair/drill"
)

// A lost machine ends no iteration; the one under way must not vanish.
func TestTheIterationUnderWayCounts(t *testing.T) {
	released := time.Unix(1000, 0)
	at := func(s float64) time.Time { return released.Add(time.Duration(s * float64(time.Second))) }
	it := func(end, took float64) drill.Iteration {
		return drill.Iteration{At: at(end), Took: time.Duration(took * float64(time.Second))}
	}
	p := &Program{Ideal: drill.Iterations{it(-1, 0.5), it(-0.5, 0.5)}}
	for name, c := range map[string]struct {
		its  drill.Iterations
		want []float64
	}{
		"lost at once":       {drill.Iterations{it(3, 3.2)}, []float64{20}},
		"slower":             {drill.Iterations{it(0.1, 0.5), it(5.1, 5), it(9.1, 4)}, []float64{5, 4, 10.9}},
		"well, cut at end":   {drill.Iterations{it(0.1, 0.5), it(19.2, 0.6), it(19.8, 0.6)}, []float64{0.6, 0.6}},
		"nothing was heard":  {nil, []float64{20}},
		"as slow as ever is": {drill.Iterations{it(19.7, 0.4)}, []float64{0.4}},
	} {
		its := begunAfter(c.its, released)
		if d := cmp.Diff(c.want, withUnended(p, its, released, at(20)), cmpopts.EquateApprox(0, 1e-6)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestSizesAreAFlag(t *testing.T) {
	s := Sizes{1}
	if err := s.Set("100,200"); err != nil || s.String() != "100,200" {
		t.Errorf("%v, %v", &s, err)
	}
	for _, bad := range []string{"", "1,", "0", "-3", "many"} {
		if err := s.Set(bad); err == nil || s.String() != "100,200" {
			t.Errorf("%q: %v, %v", bad, err, &s)
		}
	}
}

func TestAClockThatStandsStillIsNotBelieved(t *testing.T) {
	of := func(n int, took time.Duration) (its drill.Iterations) {
		for range n {
			its = append(its, drill.Iteration{Took: took})
		}
		return its
	}
	if err := believable(of(16, 500*time.Millisecond), 8*time.Second); err != nil {
		t.Errorf("a sound clock: %v", err)
	}
	for name, its := range map[string]drill.Iterations{
		"stands still": of(16, 10*time.Microsecond),
		"none ended":   nil,
	} {
		if err := believable(its, 8*time.Second); err == nil {
			t.Errorf("%s: believed", name)
		}
	}
}
