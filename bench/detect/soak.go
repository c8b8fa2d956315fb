// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"lazystate/bench/guest"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/internal/pause"
	"lazystate/repair/drill"
	"lazystate/sensorbox"
	"lazystate/sensorbox/monitor"
	"lazystate/tools/lab"
)

// loads are what a healthy machine does, within its limits.
var loads = [][]string{
	{"resident", "24"}, {"build", "4", "40"}, {"burst", "40", "2000"}, {"bomb-sleep", "20"}, {"hog-one", "96"}, {"bomb-io", "6"}, {"bomb-cpu", "4"},
}

const (
	loadFor = 15 * time.Second
	restFor = 3 * time.Second
)

// measureSoak watches a healthy target by every carrier and counts what is false.
func measureSoak(ctx context.Context, o *trial.Options, length time.Duration) (*result.Figure, error) {
	files, done, err := guest.Arsenal(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	w, err := boot(ctx, o, files)
	if err != nil {
		return nil, err
	}
	fig := &result.Figure{
		Name: "detect-soak", Title: fmt.Sprintf("False positives in %v of mixed load", length), X: "carrier", Y: "false positives", Machine: w.Machine(),
		Columns: []string{"samples", "lost", "period ms", "late"},
	}
	fig.Notef("a healthy target under loads drawn by the seed, each for %v; deadlines are the target's own, periods those of the plan with p_ml %v over the wire", loadFor, guest.PathLoss)
	watches, err := watchAll(ctx, w)
	began := time.Now()
	for rnd := rand.New(rand.NewPCG(o.Seed, 0)); err == nil && time.Since(began) < length; {
		err = underLoad(ctx, o, w, loads[rnd.IntN(len(loads))])
	}
	for i, v := range watches {
		report(o, fig, i+1, v, began)
		err = errors.Join(err, v.Stop())
	}
	return fig, errors.Join(err, w.Close())
}

func watchAll(ctx context.Context, w *guest.Wired) (all []*guest.Watch, err error) {
	for _, c := range guest.Carriers {
		v, err := w.StartWatch(ctx, c, monitor.Options{})
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}

// underLoad runs one load for a while.
func underLoad(ctx context.Context, o *trial.Options, w *guest.Wired, argv []string) error {
	pid, err := w.VM.Start(ctx, lab.Proc{Argv: append([]string{"/bin/rogue"}, argv...), UID: drill.UsefulUID})
	if err != nil {
		return fmt.Errorf("load %v: %w", argv, err)
	}
	o.Logf("%v", argv)
	err = pause.For(ctx, loadFor)
	// Each process of a bomb has a session of its own: all that the user may kill go.
	if _, kill := w.VM.RunProc(ctx, lab.Proc{Argv: []string{"/bin/sh", "-c", "kill -9 -1"}, UID: drill.UsefulUID}, nil); kill != nil {
		return errors.Join(err, kill)
	}
	if _, gone := w.VM.Wait(ctx, pid); gone != nil {
		return errors.Join(err, gone)
	}
	return errors.Join(err, pause.For(ctx, restFor))
}

// report adds what one monitor said; that it was late itself is told apart.
func report(o *trial.Options, fig *result.Figure, x int, v *guest.Watch, began time.Time) {
	wrong, late := 0, 0
	for _, s := range v.Said(began, time.Now()) {
		if s.Kind == sensorbox.Late {
			late++
			continue
		}
		wrong++
		o.Logf("FALSE by %s at %v: %s", v.Carrier, s.At.Sub(began).Round(time.Millisecond), s.Text)
	}
	st := v.Monitor.Status()
	fig.XNames = append(fig.XNames, string(v.Carrier))
	fig.Add("false positives", float64(x), []float64{float64(wrong)}, fmt.Sprint(st.Samples), fmt.Sprint(st.Lost),
		fmt.Sprintf("%.4g", float64(st.Plan.Period)/1e6), fmt.Sprint(late))
}
