// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/bench/guest"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/sensorbox"
	"lazystate/tools/lab/armed"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == feedCommand {
		os.Exit(feedMain(os.Args[2:], os.Stderr))
	}
	b := bench{}
	p := trial.Program{
		Name: "monitorcpu", About: "CPU use of a monitor with 100 sensors (section 3.9.3)", Runs: 3, Timeout: 6 * time.Minute, Window: 5 * time.Second,
		Flags:   func(fs *flag.FlagSet) { fs.BoolVar(&b.vm, "vm", true, "watch a virtual machine too") },
		Takes:   b.takes,
		Measure: b.measure,
	}
	p.Exit()
}

type bench struct{ vm bool }

func (b *bench) takes(o *trial.Options) time.Duration {
	lines, around := 0, time.Duration(0)
	for _, c := range conditions {
		lines++
		if c.floor != nil {
			lines++
		}
	}
	if b.vm {
		lines, around = lines+len(conditions), trial.Boot
	}
	return around + time.Duration(lines*o.Runs)*o.Window
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

func (b *bench) measure(ctx context.Context, o *trial.Options) (*result.Figure, error) {
	fig := &result.Figure{
		Title: fmt.Sprintf("CPU use of a monitor with %d progress sensors (3.9.3)", sensors), X: "sampling", Y: "% of one core",
		LogY: true, Machine: result.Host(), Columns: []string{"samples per second", "us of CPU per sample", "wake-ups of threads per sample"},
	}
	for i, c := range conditions {
		fig.XNames = append(fig.XNames, c.name)
		if c.paper > 0 {
			fig.Paper("paper", float64(i+1), c.paper)
		}
	}
	fig.Notef("ours (I-NIC): a synthetic kernel in two files mapped by the I-NIC carrier, no VM; another process moves all sensors every ms")
	fig.Notef("the paper's figure at 100 ms is \"under 1 %%\"; free-running ours never waits for a network, so it fills its core")
	fig.Notef("a Go loop that only wakes: a locked thread that sleeps in the kernel to the same times, no sample; the Go runtime wakes a second thread, sysmon, with each. The monitor sleeps in the runtime's poller, where it does not")
	err := files(ctx, o, fig)
	if err == nil && b.vm {
		err = machine(ctx, o, fig)
	}
	return fig, err
}

// watched is what the monitor of a series watches.
type watched struct {
	series string
	target *backdoor.Target
	open   opener
}

// files watches the synthetic kernel, and measures the floor beside it.
func files(ctx context.Context, o *trial.Options, fig *result.Figure) error {
	f, err := guest.NewFiles(ctx, sensors)
	if err != nil {
		return err
	}
	stop, err := startFeed(ctx, f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	w := watched{"ours (I-NIC)", f.Target, f.Open}
	for i, c := range conditions {
		if err == nil {
			err = add(ctx, o, fig, w, i, c.watch)
		}
		if err == nil && c.floor != nil {
			err = add(ctx, o, fig, watched{series: "a Go loop that only wakes"}, i, c.floor)
		}
	}
	return errors.Join(err, stop(), f.Close())
}

// patient are limits of the clock-driven and activity sensors that no healthy
// machine reaches on a busy host either: what is measured is watching.
const patient = "limits=TICKS:3600000000,KTHREAD:3600000000,CTXSW:3600000000,INTERRUPTS:3600000000"

// machine watches a VM that idles.
func machine(ctx context.Context, o *trial.Options, fig *result.Figure) error {
	g, err := guest.Boot(ctx, o, guest.Config{Name: "monitorcpu", Params: []string{patient}, Reader: true})
	if err != nil {
		return err
	}
	fig.Machine = g.Machine()
	w := watched{"ours (I-NIC), an idle VM", g.Target, func(context.Context) (backdoor.Memory, error) { return armed.Map(g.VM, false) }}
	for i, c := range conditions {
		if err == nil {
			err = add(ctx, o, fig, w, i, c.watch)
		}
	}
	if err == nil {
		var n int
		n, err = inUse(ctx, g.Target)
		fig.Notef("an idle VM: the module's own box, %d sensors in use, moved by the machine itself; its vCPUs are not in the figures", n)
	}
	return errors.Join(err, g.Close())
}

// inUse counts the sensors of a box.
func inUse(ctx context.Context, t *backdoor.Target) (int, error) {
	box, err := t.Region(uapi.KindSensorbox)
	if err != nil {
		return 0, err
	}
	raw := make([]byte, box.Len)
	if err := t.Do(ctx, box.Read(0, raw)); err != nil {
		return 0, err
	}
	var v sensorbox.View
	err = v.Decode(raw, nil)
	return len(v.Sensors), err
}

// add measures one point.
func add(ctx context.Context, o *trial.Options, fig *result.Figure, w watched, i int, one watch) error {
	var percent, rate, each, wakes []float64
	for range o.Runs {
		u, err := one(ctx, w.target, w.open, o.Window)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", conditions[i].name, w.series, err)
		}
		percent = append(percent, 100*u.cpu.Seconds()/u.took.Seconds())
		rate = append(rate, float64(u.samples)/u.took.Seconds())
		each = append(each, float64(u.cpu.Microseconds())/float64(u.samples))
		wakes = append(wakes, float64(u.wakes)/float64(u.samples))
	}
	o.Logf("%s, %s: %.3g %% of a core, %.3g samples/s", conditions[i].name, w.series, result.Median(percent), result.Median(rate))
	fig.Add(w.series, float64(i+1), percent, fmt.Sprintf("%.5g", result.Median(rate)), fmt.Sprintf("%.3g", result.Median(each)), fmt.Sprintf("%.3g", result.Median(wakes)))
	return nil
}
