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
		Name: "fig38", About: "the interrupt counter under 0, 1, 8 and 64 streams (Figure 3.8)", Runs: 3, Timeout: 8 * time.Minute, Window: 10 * time.Second,
		Takes: func(o *trial.Options) time.Duration {
			return trial.Boot + time.Duration(len(loads)*o.Runs)*(o.Window+2*settling)
		},
		Measure: measure,
	}
	p.Exit()
}

var loads = []int{0, 1, 8, 64}

const (
	period   = 100 * time.Millisecond // between two samples
	plotted  = 10                     // every so many samples become a point
	hostIP   = "10.77.0.1/24"
	guestIP  = "10.77.0.2/24"
	server   = "10.77.0.2:8000"
	settling = 2 * time.Second // from the clients' start to the trace
)

func measure(ctx context.Context, o *trial.Options) (*result.Figure, error) {
	files, done, err := guest.Programs(ctx, "bench/apps/stream")
	if err != nil {
		return nil, err
	}
	defer done()
	g, err := guest.Boot(ctx, o, guest.Config{Name: "fig38", Lab: lab.Config{Files: files, NICs: []lab.NIC{{Addr: guestIP}}}})
	if err != nil {
		return nil, err
	}
	fig := &result.Figure{
		Title: "Figure 3.8: interrupt counter under streaming load", X: "s", Y: "device interrupts",
		Machine: g.Machine(), Columns: []string{"per second", "longest stall ms", "all interrupts per second"},
	}
	fig.Notef("streams of 16000 bytes/s in chunks of 1000, clients behind the target's virtio-net; the counter is read each %v", period)
	fig.Notef("timer and inter-processor interrupts are counted apart (last column): the module's own poll is some 1100 of them a second, busy or idle")
	fig.Notef("the paper prints the curves without figures in the text: constant slopes that depend on the load")
	t := tracer{g: g, o: o, fig: fig, client: files["/bin/stream"]}
	return fig, errors.Join(t.all(ctx), g.Close())
}

// tracer makes the traces of one VM.
type tracer struct {
	g      *guest.Guest
	o      *trial.Options
	fig    *result.Figure
	client string       // the client program, on the host
	gauge  *guest.Gauge // DEV_INTERRUPTS
	total  *guest.Gauge // INTERRUPTS: with timers and inter-processor interrupts
}

func (t *tracer) all(ctx context.Context) (err error) {
	if err := giveAddress(t.g.VM.Config().Net, hostIP); err != nil {
		return err
	}
	pid, err := t.g.VM.Start(ctx, lab.Proc{Argv: []string{"/bin/stream", "serve"}})
	if err != nil {
		return err
	}
	defer t.g.Stop(pid)
	if t.gauge, err = guest.NewGauge(ctx, t.g.Target, "DEV_INTERRUPTS"); err != nil {
		return err
	}
	if t.total, err = guest.NewGauge(ctx, t.g.Target, "INTERRUPTS"); err != nil {
		return err
	}
	for _, n := range loads {
		var traces []trace
		for run := range t.o.Runs {
			t.o.Logf("%d streams, run %d of %d", n, run+1, t.o.Runs)
			one, err := t.loaded(ctx, n)
			if err != nil {
				return fmt.Errorf("%d streams: %w", n, err)
			}
			traces = append(traces, one)
		}
		t.add(n, traces)
	}
	return nil
}

// loaded makes one trace while n clients listen.
func (t *tracer) loaded(ctx context.Context, n int) (trace, error) {
	if n == 0 {
		return t.record(ctx)
	}
	c := player{program: t.client, net: t.g.VM.Config().Net, streams: n, length: t.o.Window + 2*settling}
	if err := c.start(ctx); err != nil {
		return trace{}, err
	}
	if err := pause.For(ctx, settling); err != nil {
		return trace{}, errors.Join(err, c.wait())
	}
	tr, err := t.record(ctx)
	return tr, errors.Join(err, c.wait())
}

// record makes a trace and counts all interrupts of the same time.
func (t *tracer) record(ctx context.Context) (trace, error) {
	before, err := t.total.Read(ctx)
	if err != nil {
		return trace{}, err
	}
	tr, err := record(ctx, t.gauge.Read, t.o.Window)
	if err != nil {
		return tr, err
	}
	after, err := t.total.Read(ctx)
	tr.all = after - before
	return tr, err
}

// add puts the median of the traces into the figure, with slope and the
// longest time the counter stood still in any of them.
func (t *tracer) add(n int, traces []trace) {
	name := fmt.Sprintf("ours: %d streams", n)
	slopes, totals, stall := make([]float64, len(traces)), make([]float64, len(traces)), time.Duration(0)
	shortest := len(traces[0].counts)
	for i, tr := range traces {
		slopes[i], totals[i] = tr.slope(), float64(tr.all)/tr.took.Seconds()
		stall = max(stall, tr.stall)
		shortest = min(shortest, len(tr.counts))
	}
	for i := 0; i < shortest; i += plotted {
		at := make([]float64, len(traces))
		for j, tr := range traces {
			at[j] = float64(tr.counts[i])
		}
		t.fig.Add(name, (time.Duration(i) * period).Seconds(), at,
			fmt.Sprintf("%.4g", result.Median(slopes)), fmt.Sprint(stall.Milliseconds()), fmt.Sprintf("%.4g", result.Median(totals)))
	}
	t.o.Logf("%s: %.0f device interrupts/s of %.0f, longest stall %v", name, result.Median(slopes), result.Median(totals), stall)
}
