// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"lazystate/bench/auctionload"
	"lazystate/bench/result"
)

// run is what one has shown, in ms since the detection.
type run struct {
	steps   map[string]float64
	order   []string // of the steps
	waits   []auctionload.Wait
	late    []time.Duration
	lives   []float64 // each session of the front end
	lost    []string
	failed  int
	failure error
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

func newRun(r *auctionload.Recovery, seen auctionload.Seen, dies auctionload.Tiers, reissued map[string]time.Time) *run {
	one := &run{steps: map[string]float64{}, lost: r.Lost}
	one.waits, one.late = r.Waits(seen, dies.Front, reissued)
	for _, m := range r.Marks {
		if _, has := one.steps[m.Name]; !has { // a front end of two is told first
			one.order = append(one.order, m.Name)
			one.steps[m.Name] = ms(m.At.Sub(r.Detected))
		}
	}
	for _, at := range r.Lives {
		one.lives = append(one.lives, ms(at.Sub(r.Detected)))
	}
	one.failed, one.failure = seen.Failed()
	return one
}

// worst is who waited longest; nil: nobody waited.
func (r *run) worst() *auctionload.Wait {
	if len(r.waits) == 0 {
		return nil
	}
	w := slices.MaxFunc(r.waits, func(a, b auctionload.Wait) int { return cmp.Compare(a.First, b.First) })
	return &w
}

func (r *run) String() string {
	first := "nobody waited"
	if w := r.worst(); w != nil {
		first = fmt.Sprintf("%d waited, the longest %.1f ms", len(r.waits), ms(w.First))
	}
	return fmt.Sprintf("%s; %d sessions live after %.1f ms; %d asked nobody meanwhile; %d sessions lost, %d requests failed", first, len(r.lives), result.Quantile(r.lives, 1), len(r.late), len(r.lost), r.failed)
}

// found is all runs of a case.
type found struct {
	firsts, lives, late []float64
	steps               map[string][]float64
	order               []string
	worst               *run
	lost, failed        int
	failure             error
}

func (f *found) add(r *run) {
	if f.steps == nil {
		f.steps = map[string][]float64{}
	}
	for _, name := range r.order {
		if f.steps[name] == nil {
			f.order = append(f.order, name)
		}
		f.steps[name] = append(f.steps[name], r.steps[name])
	}
	for _, w := range r.waits {
		f.firsts = append(f.firsts, ms(w.First))
	}
	for _, d := range r.late {
		f.late = append(f.late, ms(d))
	}
	f.lives = append(f.lives, r.lives...)
	if w := r.worst(); w != nil && (f.worst == nil || w.First > f.worst.worst().First) {
		f.worst = r
	}
	f.lost, f.failed = f.lost+len(r.lost), f.failed+r.failed
	f.failure = cmp.Or(f.failure, r.failure)
}

func mean(all []float64) (m float64) {
	for _, v := range all {
		m += v / float64(len(all))
	}
	return m
}

var errNobody = errors.New("nobody was waiting in any run: more --runs or --clients are needed")

func figure(machine result.Machine, all []found) (*result.Figure, error) {
	fig := &result.Figure{Title: "Figure 3.11: recovery of the auction, from the detection on", X: "what died", Y: "ms", Machine: machine}
	fig.Notef("%d browsing clients, half at each front end, normal think time of 7 s x %g; stopped after %v, detected %v later (all 0 ms here); the recovery ends with the first byte at the client", clients, think, after, deadline)
	fig.Notef("one host has the recovering machines, the database and the clients; what has died stands still meanwhile")
	for i, c := range cases {
		fig.XNames = append(fig.XNames, c.name)
		x, f := float64(i+1), &all[i]
		if len(f.firsts) == 0 {
			return nil, fmt.Errorf("%s: %w", c.name, errNobody)
		}
		fig.Paper("paper: average", x, c.paper)
		fig.Add("ours: average", x, []float64{mean(f.firsts)})
		fig.Add("ours: first byte of a reply that was under way", x, f.firsts)
		fig.Add("ours: each session of the front end lives", x, f.lives)
		fig.Add("ours: asked while nobody had the address, until the first byte", x, f.late)
		for _, name := range f.order {
			fig.Add("step, "+name, x, f.steps[name])
		}
		timeline(fig, x, f.worst)
		worst := result.Quantile(f.firsts, 1)
		fig.Notef("%s: %d requests were under way, on average %.1f ms (aim %g: %s), worst %.1f (aim %d: %s); %d sessions lost, %d requests failed", c.name, len(f.firsts),
			mean(f.firsts), c.aim, met(mean(f.firsts) <= c.aim), worst, worstAim, met(worst <= worstAim), f.lost, f.failed)
		if f.failure != nil {
			fig.Notef("%s: a request that failed: %v", c.name, f.failure)
		}
	}
	fig.Notef("the paper's best cases: 1.3, 1.1 and 6.9 ms; its worst of all under 25 ms")
	return fig, nil
}

func met(is bool) string {
	if is {
		return "reached"
	}
	return "missed"
}

// timeline is the figure itself: the worst session's.
func timeline(fig *result.Figure, x float64, r *run) {
	for _, name := range r.order {
		fig.Add("worst session, "+name, x, []float64{r.steps[name]})
	}
	w := r.worst()
	for _, e := range []struct {
		name string
		at   time.Duration
	}{{"its session lives", w.Live}, {"its request is reissued", w.Reissued}, {"first byte", w.First}} {
		if e.at != 0 {
			fig.Add("worst session, "+e.name, x, []float64{ms(e.at)})
		}
	}
}
