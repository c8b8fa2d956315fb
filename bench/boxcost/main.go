// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"lazystate/bench/calls"
	"lazystate/bench/guest"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/tools/lab"
)

var program = trial.Program{
	Name: "boxcost", About: "what continuation boxes in the module's memory cost a server (Table 3.2)", Runs: 20, Timeout: 20 * time.Minute,
	Takes: func(o *trial.Options) time.Duration {
		return trial.Boot + time.Duration(len(conditions)*o.Runs)*2*time.Second
	},
	Measure: measure,
}

func main() { program.Exit() }

// trips is how many round trips one figure is the mean of.
const trips = 500

// conditions are where boxes lie; params of the module, nil: it is not loaded.
var conditions = []struct {
	series   string
	params   []string
	outlives bool
}{
	{"memfd, without module", nil, false},
	{"memfd, with module", []string{"boxes_mib=0"}, false},
	{"module's memory", []string{"boxes_mib=32"}, true},
}

// paper is Table 3.2's cost of the calls, microseconds by KB of state.
var paper = []struct {
	kb               int
	exports, imports float64
}{{1, 11, 8}, {5, 20, 10}, {10, 28, 24}}

func measure(ctx context.Context, o *trial.Options) (*result.Figure, error) {
	files, remove, err := guest.Programs(ctx, "bench/apps/boxed")
	if err != nil {
		return nil, err
	}
	defer remove()
	g, err := guest.Boot(ctx, o, guest.Config{Name: "boxcost", Lab: lab.Config{Files: files, ICount: true, VCPUs: 1}, Bare: true})
	if err != nil {
		return nil, err
	}
	fig := &result.Figure{
		Title: "Cost of the calls of a continuation box (Table 3.2), in instructions", X: "call", Y: "thousand instructions", LogY: true,
		XNames: rows(), Machine: g.Machine(), Columns: []string{"% of memfd without module"},
	}
	fig.Notef("QEMU counts instructions (-icount shift=0): one is a nanosecond of the guest's clock; one CPU; the same boot")
	fig.Notef("exports: means of %d in a row; round trip: one byte to the client and back over loopback, mean of %d", calls.Batch, trips)
	for _, row := range paper {
		fig.Notef("paper, %d KB: export %.0f us, import %.0f us", row.kb, row.exports, row.imports)
	}
	return fig, errors.Join(all(ctx, o, g, fig), g.Close())
}

func rows() []string {
	var names []string
	for _, row := range paper {
		for _, call := range calls.Names {
			names = append(names, fmt.Sprintf("%d KB, %s", row.kb, call))
		}
	}
	return append(names, "round trip")
}

func all(ctx context.Context, o *trial.Options, g *guest.Guest, fig *result.Figure) error {
	base := map[string]float64{}
	for _, c := range conditions {
		us, err := one(ctx, o, g, c.params, c.outlives)
		if err != nil {
			return fmt.Errorf("%s: %w", c.series, err)
		}
		for i, name := range fig.XNames {
			m := result.Median(us[name])
			if base[name] == 0 {
				base[name] = m
			}
			fig.Add(c.series, float64(i+1), us[name], fmt.Sprintf("%.2f", 100*m/base[name]))
		}
		o.Logf("%s: round trip %.2f thousand instructions, register %.2f", c.series, result.Median(us["round trip"]), result.Median(us["1 KB, register"]))
	}
	return nil
}

// one measures under a condition and finds boxes where they should be.
func one(ctx context.Context, o *trial.Options, g *guest.Guest, params []string, outlives bool) (us map[string][]float64, err error) {
	if params != nil {
		if err := g.Load(ctx, params...); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, g.Unload(ctx)) }()
	}
	out, err := g.VM.Must(ctx, "/bin/boxed", "--runs", strconv.Itoa(o.Runs), "--trips", strconv.Itoa(trips))
	if err != nil {
		return nil, err
	}
	var r struct {
		Outlives bool                 `json:"outlives"`
		US       map[string][]float64 `json:"us"`
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		return nil, fmt.Errorf("boxed said %q: %w", out, err)
	}
	if r.Outlives != outlives {
		return nil, fmt.Errorf("boxes in the module's memory: %v", r.Outlives)
	}
	return r.US, nil
}
