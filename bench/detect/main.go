// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"lazystate/backdoor"
	"lazystate/bench/guest"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/sensorbox"
	"lazystate/sensorbox/monitor"
	"lazystate/tools/lab"
)

func main() {
	var soak time.Duration
	p := trial.Program{
		Name: "detect", About: "hangs announced after their deadline, and false positives in a soak (section 3.4.2)", Runs: 21, Timeout: 2 * time.Hour,
		Flags: func(fs *flag.FlagSet) {
			fs.DurationVar(&soak, "soak", 0, "count false positives under mixed load for so long instead")
		},
		Takes: func(o *trial.Options) time.Duration {
			if soak > 0 {
				return 2*trial.Boot + soak
			}
			return 2*trial.Boot + time.Duration(o.Runs)*(conditions[0].cycle()+conditions[1].cycle()+conditions[2].cycle())
		},
		Measure: func(ctx context.Context, o *trial.Options) (*result.Figure, error) {
			if soak > 0 {
				return measureSoak(ctx, o, soak)
			}
			return measure(ctx, o)
		},
	}
	p.Exit()
}

// condition is a carrier with the deadline that is kept by it.
type condition struct {
	carrier  guest.Carrier
	title    string
	deadline time.Duration
	period   time.Duration // 0: as the plan says
	length   time.Duration // of each hang: longer than it takes to announce it
	settle   time.Duration // between two hangs
}

func (c *condition) cycle() time.Duration { return c.length + c.settle }

// clockSensor is the clock of the CPU that the module polls each millisecond; on the
// others it comes each 10 ms, which is no clock for a deadline of 10 ms.
const clockSensor = "TICKS.0"

var conditions = []condition{
	{guest.INIC, "mapped memory, 10 ms", 10 * time.Millisecond, 250 * time.Microsecond, 100 * time.Millisecond, time.Second},
	{guest.BDNIC, "bdnic over RoCEv2, 500 ms", 500 * time.Millisecond, 0, 2 * time.Second, 3 * time.Second},
	{guest.RXE, "rxe, 500 ms", 500 * time.Millisecond, 0, 2 * time.Second, 5 * time.Second},
}

// options of the condition's monitor.
func (c *condition) options() monitor.Options {
	limit := uint64(c.deadline / time.Microsecond)
	return monitor.Options{Period: c.period, Detector: sensorbox.Config{Rules: map[string]sensorbox.Rule{clockSensor: {Limit: &limit}}}}
}

// boot makes the target that is watched.
func boot(ctx context.Context, o *trial.Options, files map[string]string) (*guest.Wired, error) {
	o.Logf("booting the target with Linux %s", o.Kernel)
	return guest.Wire(ctx, guest.WiredConfig{Name: "bench-detect", Seed: o.Seed, Lab: lab.Config{Kernel: o.Kernel, SwapMiB: 256, Files: files}})
}

func measure(ctx context.Context, o *trial.Options) (*result.Figure, error) {
	files, done, err := guest.Programs(ctx, "tools/bdagent")
	if err != nil {
		return nil, err
	}
	defer done()
	w, err := boot(ctx, o, files)
	if err != nil {
		return nil, err
	}
	fig := &result.Figure{
		Title: "Hangs, announced so long after the deadline (3.4.2)", X: "carrier and deadline", Y: "ms after the deadline", Machine: w.Machine(),
		Columns: []string{"bound ms", "within", "not announced", "false before", "period ms", "samples lost"},
	}
	fig.Notef("QEMU stops all vCPUs; counted from the last change of %s that a look-out on the mapped memory saw; bound: 1 ms (mapped), else two periods and a fetch of the sampling plan", clockSensor)
	for i := range conditions {
		fig.XNames = append(fig.XNames, conditions[i].title)
	}
	for i := range conditions {
		if err == nil {
			err = conditions[i].measure(ctx, o, w, fig, i+1)
		}
	}
	return fig, errors.Join(err, w.Close())
}

// tally of one condition.
type tally struct {
	excess []float64 // ms
	within int
	missed int
	wrong  int
}

func (c *condition) measure(ctx context.Context, o *trial.Options, w *guest.Wired, fig *result.Figure, x int) (err error) {
	eyes, err := w.Open(ctx, guest.INIC, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, eyes.Close()) }()
	target, err := backdoor.Open(ctx, eyes)
	if err != nil {
		return err
	}
	gauge, err := guest.NewGauge(ctx, target, clockSensor)
	if err != nil {
		return err
	}
	v, err := w.StartWatch(ctx, c.carrier, c.options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.Stop()) }()
	st := v.Monitor.Status()
	bound := 2*st.Plan.Period + st.Fetch // until the last change is seen, and until it is seen again
	if c.carrier == guest.INIC {
		bound = time.Millisecond
	}
	var t tally
	for range o.Runs {
		if err := c.hang(ctx, w, v, gauge, bound, &t); err != nil {
			return err
		}
	}
	end := v.Monitor.Status()
	o.Logf("%s: median %.3g ms after the deadline, %d of %d within %v, %d not announced, %d false", c.title, result.Median(t.excess), t.within, o.Runs, bound, t.missed, t.wrong)
	if len(t.excess) == 0 {
		fig.Notef("%s: none of %d hangs was announced, %d events were false", c.title, o.Runs, t.wrong)
	}
	fig.Add("ours", float64(x), t.excess, fmt.Sprintf("%.4g", float64(bound)/1e6), fmt.Sprintf("%d of %d", t.within, o.Runs), fmt.Sprint(t.missed),
		fmt.Sprint(t.wrong), fmt.Sprintf("%.4g", float64(st.Plan.Period)/1e6), fmt.Sprintf("%d of %d", end.Lost, end.Samples))
	return nil
}
