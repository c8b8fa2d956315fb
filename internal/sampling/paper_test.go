// SPDX-License-Identifier: Apache-2.0

package sampling

import (
	"testing"
	"time"
)

// §3.4.2: "suppose that p_ml = 10^-8 and we impose a probability PM(T) of false
// positives [...] of at most 10^-8, for a deadline T = 1s [...]. Then R >= 1 + e
// for some e > 0 arbitrarily small. In other words, it suffices for a monitor to
// sample a remote SB at intervals of just under one second".
func TestPaperExample(t *testing.T) {
	p, err := Goal{Deadline: time.Second, PM: 1e-8, Loss: 1e-8, RTT: 10 * time.Microsecond, Fetch: 16 * time.Microsecond}.Plan()
	if err != nil {
		t.Fatal(err)
	}
	if p.R != 1 {
		t.Errorf("R = %d, the paper needs 1", p.R)
	}
	if p.Period >= time.Second || p.Period < 990*time.Millisecond {
		t.Errorf("period %v is not just under one second", p.Period)
	}
}

// "Under ideal conditions (perfect links, p_ml = 0), a monitor would not need
// to sample more often than T."
func TestPaperPerfectLink(t *testing.T) {
	p, err := Goal{Deadline: time.Second, PM: 1e-30}.Plan()
	if err != nil || p.R != 1 {
		t.Errorf("plan %+v, %v; want R = 1", p, err)
	}
}

// "an obvious hard upper bound is given by the time needed to fetch the remote SB"
func TestPaperFetchBound(t *testing.T) {
	g := Goal{Deadline: 100 * time.Millisecond, PM: 1e-9, Loss: 1e-3, RTT: time.Millisecond, Fetch: 30 * time.Millisecond}
	_, err := g.Plan()
	wantRefusal(t, err, SlowFetch)
	g.Fetch = 20 * time.Millisecond
	if p, err := g.Plan(); err != nil || p.R != 3 {
		t.Errorf("plan %+v, %v; want R = 3", p, err)
	}
}
