// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lazystate/bench/guest"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/internal/pause"
	"lazystate/tools/lab"
)

func main() {
	p := trial.Program{
		Name: "fig37", About: "false positives against the detection deadline (Figure 3.7)", Runs: 3, Timeout: 8 * time.Minute, Window: 15 * time.Second,
		Takes: func(o *trial.Options) time.Duration {
			return trial.Boot + time.Duration(len(curves)*o.Runs)*(o.Window+2*time.Second)
		},
		Measure: measure,
	}
	p.Exit()
}

// busyCPU is P1 of §3.9.3: not the processor of the module's fast poll.
const busyCPU = 1

// deadlines of the paper, 10 to 120 ms, and beyond it what Linux needs.
func deadlines() []time.Duration {
	var all []time.Duration
	for ms := 10; ms <= 120; ms += 10 {
		all = append(all, time.Duration(ms)*time.Millisecond)
	}
	return append(all, 250*time.Millisecond, 500*time.Millisecond, time.Second, 2*time.Second)
}

func measure(ctx context.Context, o *trial.Options) (*result.Figure, error) {
	files, done, err := guest.Programs(ctx, "bench/apps/busy")
	if err != nil {
		return nil, err
	}
	defer done()
	g, err := guest.Boot(ctx, o, guest.Config{Name: "fig37", Lab: lab.Config{Files: files}})
	if err != nil {
		return nil, err
	}
	fig := &result.Figure{
		Title: "Figure 3.7: false positives against the detection deadline", X: "deadline, ms", Y: "fraction of false positives",
		LogX: true, Machine: g.Machine(), Columns: []string{"samples", "late and not counted"},
	}
	for ms := 90.0; ms <= 120; ms += 10 {
		fig.Paper("paper: none above 85 ms", ms, 0)
	}
	fig.Notef("each run samples for %v, all deadlines at once; the paper prints the curve, its text says only that it falls to 0 at 85 ms (time slice 100 ms)", o.Window)
	for _, c := range curves {
		if err := c.measure(ctx, o, g, fig); err != nil {
			return nil, errors.Join(err, g.Close())
		}
	}
	return fig, g.Close()
}

// curve is what runs on busyCPU. The module's own heartbeat thread is a
// scheduling decision wherever it runs, so its period is part of the condition.
type curve struct {
	name      string
	tasks     int
	heartbeat int // ms
}

var curves = []curve{
	{"ours: one busy task, heartbeat every 50 ms", 1, 50},
	{"ours: one busy task, heartbeat every 250 ms", 1, 250},
	{"ours: two busy tasks, heartbeat every 250 ms", 2, 250},
}

func (c curve) measure(ctx context.Context, o *trial.Options, g *guest.Guest, fig *result.Figure) error {
	err := g.VM.WriteFile(ctx, "/sys/module/backdoor/parameters/heartbeat_ms", []byte(fmt.Sprint(c.heartbeat)), 0)
	if err != nil {
		return err
	}
	length := time.Duration(o.Runs)*(o.Window+2*time.Second) + 10*time.Second
	pid, err := g.VM.Start(ctx, lab.Proc{Argv: []string{"/bin/busy", "--cpu", fmt.Sprint(busyCPU), "--tasks", fmt.Sprint(c.tasks), "--for", length.String()}})
	if err != nil {
		return err
	}
	defer g.Stop(pid)
	gauge, err := guest.NewGauge(ctx, g.Target, fmt.Sprintf("CTXSW.%d", busyCPU))
	if err != nil {
		return err
	}
	all := make([]tally, len(deadlines()))
	for run := range o.Runs {
		if err := pause.For(ctx, 2*time.Second); err != nil {
			return err
		}
		o.Logf("%s, run %d of %d", c.name, run+1, o.Runs)
		if err := sample(ctx, gauge.Read, o.Window, all); err != nil {
			return err
		}
	}
	for i, d := range deadlines() {
		fig.Add(c.name, float64(d.Milliseconds()), all[i].fractions, fmt.Sprint(all[i].samples), fmt.Sprint(all[i].late))
	}
	return nil
}
