// SPDX-License-Identifier: Apache-2.0

package sampling

import (
	"errors"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func wantRefusal(t *testing.T, err error, want Reason) {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) || r.Reason != want || r.Why == "" {
		t.Errorf("got %v, want a refusal with reason %d", err, want)
	}
}

func TestRefusals(t *testing.T) {
	good := Goal{Deadline: 100 * time.Millisecond, PM: 1e-9, Loss: 1e-3, RTT: time.Millisecond, Fetch: time.Millisecond}
	for name, c := range map[string]struct {
		change func(*Goal)
		want   Reason
	}{
		"no deadline":       {func(g *Goal) { g.Deadline = 0 }, BadGoal},
		"PM zero":           {func(g *Goal) { g.PM = 0 }, BadGoal},
		"PM not a number":   {func(g *Goal) { g.PM = math.NaN() }, BadGoal},
		"all reads lost":    {func(g *Goal) { g.Loss = 1 }, BadGoal},
		"negative fetch":    {func(g *Goal) { g.Fetch = -1 }, BadGoal},
		"T not >> RTT":      {func(g *Goal) { g.RTT = 11 * time.Millisecond }, SlowPath},
		"fetch beyond T":    {func(g *Goal) { g.Fetch = time.Second }, SlowFetch},
		"ack timeout 67 ms": {func(g *Goal) { g.Stall = 67 * time.Millisecond }, OneQueue},
		"two queues for 3":  {func(g *Goal) { g.Stall = 67 * time.Millisecond; g.Queues = 2 }, TooFewQueues},
	} {
		t.Run(name, func(t *testing.T) {
			g := good
			c.change(&g)
			_, err := g.Plan()
			wantRefusal(t, err, c.want)
		})
	}
	good.Stall, good.Queues = 67*time.Millisecond, 3
	if p, err := good.Plan(); err != nil || p.R != 3 {
		t.Errorf("a queue for each sample: %+v, %v", p, err)
	}
	good.Deadline, good.Queues = 101*time.Millisecond, 1
	if _, err := good.Plan(); err != nil {
		t.Errorf("1.5 ack timeouts on a single queue: %v", err)
	}
}

// R is the least number that keeps the promise, and its samples fit into T.
func TestPlanKeepsItsPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := Goal{
			Deadline: time.Duration(rapid.Int64Range(1, 10_000).Draw(t, "ms")) * time.Millisecond,
			PM:       math.Pow(10, -rapid.Float64Range(0.1, 15).Draw(t, "pm")),
			Loss:     math.Pow(10, -rapid.Float64Range(0.1, 12).Draw(t, "loss")),
			Fetch:    time.Duration(rapid.Int64Range(0, 5000).Draw(t, "us")) * time.Microsecond,
			Queues:   rapid.IntRange(0, 8).Draw(t, "k"),
		}
		p, err := g.Plan()
		if err != nil {
			var r *Refusal
			if !errors.As(err, &r) || r.Reason != SlowFetch {
				t.Fatalf("%+v: %v", g, err)
			}
			return
		}
		if got := math.Pow(g.Loss, float64(p.R)); got > g.PM*(1+1e-6) {
			t.Fatalf("%d samples lost with probability %g > %g", p.R, got, g.PM)
		}
		if p.R > 1 && math.Pow(g.Loss, float64(p.R-1)) <= g.PM*(1-1e-6) {
			t.Fatalf("%d samples would do", p.R-1)
		}
		if last := time.Duration(p.R)*p.Period + g.Fetch; last > g.Deadline {
			t.Fatalf("sample %d arrives after %v of %v", p.R, last, g.Deadline)
		}
	})
}
