// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"lazystate/bench/result"
	"lazystate/bench/trial"
)

func main() {
	p := trial.Program{
		Name: "falsepos", About: "false positives against packet loss (section 3.4.2)", Runs: 3, Timeout: 30 * time.Minute, Window: 20 * time.Second,
		Takes: func(o *trial.Options) time.Duration {
			return time.Duration(o.Runs*len(losses)) * (o.Window + 2*time.Second)
		},
		Measure: measure,
	}
	p.Exit()
}

// losses of packets, each way.
var losses = []float64{0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2}

const (
	period = 20 * time.Millisecond // of the samples, and each one's slot
	mostR  = 3                     // samples in a deadline: T is R periods
)

func measure(ctx context.Context, o *trial.Options) (*result.Figure, error) {
	fig := &result.Figure{
		Title: "False positives against packet loss (3.4.2)", X: "packets lost, each way", Y: "false positives, share of the deadlines",
		Machine: result.Host(), Columns: []string{"p_ml", "deadlines"},
	}
	fig.Notef("a healthy synthetic target behind a bdnic in this process, RoCEv2 over loopback; a sample each %v, on one of %d queue pairs; a deadline T is R samples", period, pool)
	fig.Notef("the dissertation's detector takes no answer for no change; ours accuses only by two samples that both arrived, and tells of silence apart")
	for _, loss := range losses {
		all, err := at(ctx, o, loss)
		if err != nil {
			return nil, fmt.Errorf("loss %v: %w", loss, err)
		}
		for r := 1; r <= mostR; r++ {
			add(fig, loss, r, all)
		}
	}
	return fig, nil
}

// at makes all runs at one loss.
func at(ctx context.Context, o *trial.Options, loss float64) (all []*jury, err error) {
	for run := range o.Runs {
		r, err := newRig(ctx, loss, o.Seed+uint64(run))
		if err != nil {
			return nil, err
		}
		j := newJury()
		if err := errors.Join(r.sample(ctx, o.Window, j), r.close()); err != nil {
			return nil, err
		}
		o.Logf("loss %v, run %d: %s", loss, run+1, j)
		all = append(all, j)
	}
	return all, nil
}

// add adds the points of one loss and R.
func add(fig *result.Figure, loss float64, r int, all []*jury) {
	var theirs, formula, accused, doubted, pml []float64
	windows := 0
	for _, j := range all {
		p, ours := j.paper[r-1], j.ours[r-1]
		pml = append(pml, j.pml())
		theirs = append(theirs, share(p.accused, p.windows))
		formula = append(formula, math.Pow(j.pml(), float64(r)))
		accused = append(accused, share(ours.accused, p.windows))
		doubted = append(doubted, share(ours.silent, p.windows))
		windows += p.windows
	}
	more := []string{fmt.Sprintf("%.4g", result.Median(pml)), fmt.Sprint(windows)}
	fig.Add(fmt.Sprintf("the dissertation's detector, R = %d", r), loss, theirs, more...)
	fig.Add(fmt.Sprintf("p_ml^R, R = %d", r), loss, formula, more...)
	fig.Add(fmt.Sprintf("ours, R = %d: accused", r), loss, accused, more...)
	fig.Add(fmt.Sprintf("ours, R = %d: told that nobody answers", r), loss, doubted, more...)
}

func share(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}
