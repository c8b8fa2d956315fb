// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/bench/guest"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/tools/lab"
)

func main() {
	var icount bool
	p := trial.Program{
		Name: "targetcost", About: "what the sensors cost a CPU-bound program in the target (section 3.9.3)", Runs: 8, Timeout: 20 * time.Minute, Window: 4 * time.Second,
		Flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&icount, "icount", false, "count instructions instead of time: another figure, which the host's load does not touch")
		},
		Takes: func(o *trial.Options) time.Duration {
			if icount {
				const each = 15 * time.Second // two thousand million instructions
				return 2*trial.Boot + time.Duration(len(counted)*o.Runs)*each + time.Duration(len(crowds)*censuses)*2*time.Second
			}
			return trial.Boot + time.Duration(o.Runs)*conditions*(o.Window+2*time.Second)
		},
		Measure: func(ctx context.Context, o *trial.Options) (*result.Figure, error) {
			if icount {
				return count(ctx, o)
			}
			return measure(ctx, o)
		},
	}
	p.Exit()
}

const (
	without = iota // the module is not loaded
	loaded         // all sensors run
	sampled        // and a monitor fetches the box every 10 ms
	conditions
)

var names = []string{without: "without module", loaded: "with module", sampled: "with module, fetched every 10 ms"}

func measure(ctx context.Context, o *trial.Options) (*result.Figure, error) {
	files, remove, err := guest.Programs(ctx, "bench/apps/busy")
	if err != nil {
		return nil, err
	}
	defer remove()
	g, err := guest.Boot(ctx, o, guest.Config{Name: "targetcost", Lab: lab.Config{Files: files}, Bare: true})
	if err != nil {
		return nil, err
	}
	fig := &result.Figure{
		Title: "Target's cost of all sensors (3.9.3)", X: "condition", Y: "% of the work done without the module",
		XNames: names, Machine: g.Machine(), Columns: []string{"iterations per second of QEMU's CPU time", "us of one census", "% of one CPU for the census"},
	}
	fig.Notef("a CPU-bound task per vCPU, slices of %v, %d rounds of three conditions, forwards and backwards by turns", o.Window, o.Runs)
	fig.Notef("a census: its own clock in the target (CENSUS_COST), read at the end of each slice; of one CPU: that, once each census_ms; the work done bounds what all else costs only as well as its range")
	update, err := updateCost(ctx, g)
	fig.Notef("an update of one sensor, and so a probe on a tracepoint: %.1f ns in the target (the module's self-test, best of 16 times 10,000)", update)
	return fig, errors.Join(err, rounds(ctx, o, g, fig), g.Close())
}

var updateLine = regexp.MustCompile(`an update of a sensor takes (\d+) ps`)

// updateCost is what the module's self-test measures, in ns.
func updateCost(ctx context.Context, g *guest.Guest) (ns float64, err error) {
	if err := g.Load(ctx, "selftest=1"); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, g.Unload(ctx)) }()
	log, err := g.VM.Must(ctx, "/bin/busybox", "dmesg")
	if err != nil {
		return 0, err
	}
	m := updateLine.FindStringSubmatch(log)
	if m == nil {
		return 0, errors.New("the module's self-test says nothing of its cost")
	}
	ps, err := strconv.ParseFloat(m[1], 64)
	return ps / 1000, err
}

// rounds compares each condition with its own round's "without".
func rounds(ctx context.Context, o *trial.Options, g *guest.Guest, fig *result.Figure) error {
	percent, rate, census := make([][]float64, conditions), make([][]float64, conditions), make([][]float64, conditions)
	for i := range o.Runs {
		order := []int{without, loaded, sampled}
		if i%2 == 1 {
			slices.Reverse(order)
		}
		var r [conditions]float64
		for _, c := range order {
			one, err := work(ctx, g, c, o.Window)
			if err != nil {
				return fmt.Errorf("round %d, %s: %w", i+1, names[c], err)
			}
			r[c], census[c] = one.perCPUSecond, append(census[c], one.censusUS)
		}
		o.Logf("round %d of %d: %.1f, %.1f, %.1f iterations per CPU second", i+1, o.Runs, r[without], r[loaded], r[sampled])
		for c := range conditions {
			percent[c], rate[c] = append(percent[c], 100*r[c]/r[without]), append(rate[c], r[c])
		}
	}
	for c := range conditions {
		more := []string{fmt.Sprintf("%.5g", result.Median(rate[c]))}
		if us := result.Median(census[c]); c != without {
			more = append(more, fmt.Sprintf("%.4g", us), fmt.Sprintf("%.2g", us/10/censusMS))
		}
		fig.Add("ours", float64(c+1), percent[c], more...)
	}
	return nil
}

// censusMS is the module's census_ms, which this bench sets.
const censusMS = 100

// done is one slice.
type done struct {
	perCPUSecond float64 // iterations
	censusUS     float64 // of one census, at the end; 0 without the module
}

// work runs the program for one slice under a condition.
func work(ctx context.Context, g *guest.Guest, condition int, slice time.Duration) (d done, err error) {
	if condition != without {
		if err := g.Load(ctx, "allow_repair=1", fmt.Sprintf("census_ms=%d", censusMS)); err != nil {
			return d, err
		}
		defer func() { err = errors.Join(err, g.Unload(ctx)) }()
	}
	if condition == sampled {
		stop := fetching(ctx, g)
		defer func() { err = errors.Join(err, stop()) }()
	}
	before, err := g.CPUTime()
	if err != nil {
		return d, err
	}
	out, err := g.VM.Must(ctx, "/bin/busy", "--tasks", fmt.Sprint(g.VM.Info().VCPUs), "--for", slice.String())
	if err != nil {
		return d, err
	}
	var r struct {
		Iterations float64 `json:"iterations"`
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Iterations <= 0 {
		return d, fmt.Errorf("busy said %q: %w", out, err)
	}
	after, err := g.CPUTime()
	if err != nil {
		return d, err
	}
	d.perCPUSecond = r.Iterations / (after - before).Seconds()
	if condition != without {
		d.censusUS, err = census(ctx, g)
	}
	return d, err
}

// census is how long the last one took, by the target's own clock.
func census(ctx context.Context, g *guest.Guest) (us float64, err error) {
	gauge, err := guest.NewGauge(ctx, g.Target, "CENSUS_COST")
	if err != nil {
		return 0, err
	}
	v, err := gauge.Read(ctx)
	return float64(v), err
}

// fetching reads the whole box every 10 ms until stop is called.
func fetching(ctx context.Context, g *guest.Guest) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- fetch(ctx, g) }()
	return func() error { cancel(); return <-done }
}

func fetch(ctx context.Context, g *guest.Guest) error {
	r, err := g.Target.Region(uapi.KindSensorbox)
	if err != nil {
		return err
	}
	box := make([]byte, r.Len)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := g.Target.Do(ctx, r.Read(0, box)); err != nil && ctx.Err() == nil {
			return err
		}
	}
}
