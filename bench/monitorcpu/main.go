// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"lazystate/backdoor"
	"lazystate/bench/guest"
	"lazystate/bench/result"
	"lazystate/bench/trial"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == feedCommand {
		os.Exit(feedMain(os.Args[2:], os.Stderr))
	}
	p := trial.Program{
		Name: "monitorcpu", About: "CPU use of a monitor with 100 sensors (section 3.9.3)", Runs: 3, Timeout: 4 * time.Minute, Window: 5 * time.Second,
		Takes: func(o *trial.Options) time.Duration {
			lines := 0
			for _, c := range conditions {
				lines++
				if c.floor != nil {
					lines++
				}
			}
			return time.Duration(lines*o.Runs) * o.Window
		},
		Measure: measure,
	}
	p.Exit()
}

const sensors = 100

// watch runs a monitor for a window that begins when it watches: opening a
// target is no part of watching it.
type watch func(ctx context.Context, t *backdoor.Target, open opener, window time.Duration) (usage, error)

type opener func(context.Context) (backdoor.Memory, error)

var conditions = []struct {
	name  string
	paper float64 // %; 0: not in the paper
	watch watch
	floor watch // wakes as often and does nothing; nil: not measured
}{
	{"free-running", 46, freeRunning, nil},
	{"every 1 ms", 0, every(time.Millisecond), waking(time.Millisecond)},
	{"every 10 ms", 5, every(10 * time.Millisecond), waking(10 * time.Millisecond)},
	{"every 100 ms", 1, every(100 * time.Millisecond), waking(100 * time.Millisecond)},
}

func measure(ctx context.Context, o *trial.Options) (*result.Figure, error) {
	f, err := guest.NewFiles(ctx, sensors)
	if err != nil {
		return nil, err
	}
	fig := &result.Figure{
		Title: fmt.Sprintf("CPU use of a monitor with %d progress sensors (3.9.3)", sensors), X: "sampling", Y: "% of one core",
		LogY: true, Machine: result.Host(), Columns: []string{"samples per second", "us of CPU per sample"},
	}
	for i, c := range conditions {
		fig.XNames = append(fig.XNames, c.name)
		if c.paper > 0 {
			fig.Paper("paper", float64(i+1), c.paper)
		}
	}
	fig.Notef("target: a synthetic kernel in two files mapped by the I-NIC carrier, no VM; another process moves all sensors every ms")
	fig.Notef("the paper's figure at 100 ms is \"under 1 %%\"; free-running ours never waits for a network, so it fills its core")
	fig.Notef("a Go loop that only wakes: the same thread, the same absolute sleep, no sample: what Linux and the Go runtime (a second thread, sysmon, is woken with each) take for the wake-up alone")
	return fig, errors.Join(run(ctx, o, f, fig), f.Close())
}

func run(ctx context.Context, o *trial.Options, f *guest.Files, fig *result.Figure) error {
	stop, err := startFeed(ctx, f)
	if err != nil {
		return err
	}
	err = all(ctx, o, f, fig)
	return errors.Join(err, stop())
}

func all(ctx context.Context, o *trial.Options, f *guest.Files, fig *result.Figure) error {
	for i, c := range conditions {
		for _, line := range []struct {
			series string
			watch  watch
		}{{"ours (I-NIC)", c.watch}, {"a Go loop that only wakes", c.floor}} {
			if line.watch == nil {
				continue
			}
			if err := add(ctx, o, f, fig, line.series, i, line.watch); err != nil {
				return fmt.Errorf("%s, %s: %w", c.name, line.series, err)
			}
		}
	}
	return nil
}

// add measures one point.
func add(ctx context.Context, o *trial.Options, f *guest.Files, fig *result.Figure, series string, i int, w watch) error {
	var percent, rate, each []float64
	for range o.Runs {
		u, err := w(ctx, f.Target, f.Open, o.Window)
		if err != nil {
			return err
		}
		percent = append(percent, 100*u.cpu.Seconds()/u.took.Seconds())
		rate = append(rate, float64(u.samples)/u.took.Seconds())
		each = append(each, float64(u.cpu.Microseconds())/float64(u.samples))
	}
	o.Logf("%s, %s: %.3g %% of a core, %.3g samples/s", conditions[i].name, series, result.Median(percent), result.Median(rate))
	fig.Add(series, float64(i+1), percent, fmt.Sprintf("%.5g", result.Median(rate)), fmt.Sprintf("%.3g", result.Median(each)))
	return nil
}
