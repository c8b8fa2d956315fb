// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/bench/guest"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/sensorbox"
)

func main() {
	var files, wire bool
	p := trial.Program{
		Name: "fetch", About: "remote reads and the fetch of a Sensor Box (section 3.9.3)", Runs: 11, Timeout: 2 * time.Minute,
		Flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&files, "files", false, "a synthetic target in files, no VM")
			fs.BoolVar(&wire, "wire", false, "by every carrier: rdma_rxe, bdnic over RoCEv2, mapped memory")
		},
		Takes: func(o *trial.Options) time.Duration {
			if wire {
				return 2*trial.Boot + time.Duration(o.Runs)*6*time.Second
			}
			return trial.Boot + 5*time.Second
		},
		Measure: func(ctx context.Context, o *trial.Options) (*result.Figure, error) {
			if wire {
				return measureWire(ctx, o)
			}
			return measure(ctx, o, files)
		},
	}
	p.Exit()
}

// sizes of a read: a word, a record, a page, the paper's 10 KB.
var sizes = []int{8, 64, 1024, 4096, 10240}

const reads = 2000 // of each run

const mapped = "ours: remote read (I-NIC)"

func measure(ctx context.Context, o *trial.Options, files bool) (*result.Figure, error) {
	fig := newFigure("Remote read, and fetch of a Sensor Box (3.9.3)", reads)
	if files {
		f, err := guest.NewFiles(ctx, 100)
		if err != nil {
			return nil, err
		}
		fig.Machine = result.Host()
		fig.Notef("target: a synthetic kernel in two files, mapped by the I-NIC carrier; no VM")
		return fig, errors.Join(readAll(ctx, o, fig, f.Target, mapped, reads), fetch(ctx, o, fig, f.Target), f.Close())
	}
	g, err := guest.Boot(ctx, o, guest.Config{Name: "fetch"})
	if err != nil {
		return nil, err
	}
	fig.Machine = g.Machine()
	fig.Notef("target: a VM, memory mapped by the I-NIC carrier; the 10 KB are of the direct map")
	return fig, errors.Join(readAll(ctx, o, fig, g.Target, mapped, reads), fetch(ctx, o, fig, g.Target), g.Close())
}

func newFigure(title string, reads int) *result.Figure {
	fig := &result.Figure{Title: title, X: "bytes", Y: "us", LogX: true, LogY: true, Columns: []string{"p99 us"}}
	fig.Paper("paper: remote read (Myrinet)", 64, 16)
	fig.Paper("paper: remote read (Myrinet)", 10240, 118)
	fig.Notef("each sample is the median of %d reads; p99 is the median of the runs' 99th percentiles", reads)
	return fig
}

// readAll reads a number of times, one read after the other, of each size.
func readAll(ctx context.Context, o *trial.Options, fig *result.Figure, t *backdoor.Target, series string, reads int) error {
	memory, err := t.Region(uapi.KindMemory)
	if err != nil {
		return err
	}
	for _, n := range sizes {
		buf := make([]byte, n)
		err := sample(fig, o, series, n, reads, func() error { return t.Do(ctx, memory.Read(1<<16, buf)) })
		if err != nil {
			return err
		}
	}
	return nil
}

// fetch is fetch_sb: check that it is still the same machine, read the box,
// validate the copy.
func fetch(ctx context.Context, o *trial.Options, fig *result.Figure, t *backdoor.Target) error {
	r, err := t.Region(uapi.KindSensorbox)
	if err != nil {
		return err
	}
	box := make([]byte, r.Len)
	var view sensorbox.View
	err = sample(fig, o, "ours: fetch_sb, checked and decoded", len(box), reads, func() error {
		if err := t.Check(ctx); err != nil {
			return err
		}
		if err := t.Do(ctx, r.Read(0, box)); err != nil {
			return err
		}
		return view.Decode(box, nil)
	})
	fig.Notef("the Sensor Box: %d bytes, %d sensors in use", len(box), len(view.Sensors))
	return err
}

// sample times each call of read, o.Runs times reads calls.
func sample(fig *result.Figure, o *trial.Options, series string, n, reads int, read func() error) error {
	var medians, p99s []float64
	for range o.Runs {
		took := make([]float64, reads)
		for i := range took {
			start := time.Now()
			if err := read(); err != nil {
				return err
			}
			took[i] = float64(time.Since(start)) / 1e3
		}
		medians, p99s = append(medians, result.Median(took)), append(p99s, result.Quantile(took, 0.99))
	}
	o.Logf("%s, %d bytes: %.2f us", series, n, result.Median(medians))
	fig.Add(series, float64(n), medians, fmt.Sprintf("%.3g", result.Median(p99s)))
	return nil
}
