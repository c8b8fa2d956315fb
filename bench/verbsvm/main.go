// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"lazystate/bench/guest"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/tools/lab"
)

func main() {
	p := trial.Program{
		Name: "verbsvm", About: "package verbs over SoftRoCE against perftest, in a guest and between two", Runs: 21, Timeout: 30 * time.Minute,
		Takes:   func(o *trial.Options) time.Duration { return 2*trial.Boot + time.Duration(o.Runs)*10*time.Second },
		Measure: measure,
	}
	p.Exit()
}

// cell is one comparison: a READ's size and how many there are at once.
type cell struct {
	name           string
	apart          bool // between two guests
	size, depth    int
	iters          int
	every          int
	unit           string
	higherIsFaster bool
}

var cells = []cell{
	{name: "64 B latency", size: 64, depth: 1, iters: 2000, every: 1, unit: "us"},
	{name: "64 KiB bandwidth", size: 64 << 10, depth: 128, iters: 1000, every: 100, unit: "MiB/s", higherIsFaster: true},
	{name: "64 B latency, two guests", apart: true, size: 64, depth: 1, iters: 1000, every: 1, unit: "us"},
	{name: "64 KiB bandwidth, two guests", apart: true, size: 64 << 10, depth: 128, iters: 300, every: 100, unit: "MiB/s", higherIsFaster: true},
}

// addresses of the guests.
var addresses = []string{"10.79.0.2", "10.79.0.3"}

func measure(ctx context.Context, o *trial.Options) (fig *result.Figure, err error) {
	dir, err := os.MkdirTemp("", "lazystate-verbsvm-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	reads := filepath.Join(dir, "reads")
	if err := lab.GoBuildCgo(ctx, reads, "lazystate/bench/apps/reads"); err != nil {
		return nil, err
	}
	var guests []*guest.Guest
	for i, addr := range addresses {
		g, e := guest.Boot(ctx, o, guest.Config{Name: fmt.Sprintf("verbsvm%d", i), Bare: true, Lab: lab.Config{
			Net: "verbsvm", NICs: []lab.NIC{{Addr: addr + "/24", RXE: true}},
			Packages: []string{"perftest"}, Files: map[string]string{"/bin/reads": reads},
		}})
		if e != nil {
			return nil, e
		}
		defer func() { err = errors.Join(err, g.Close()) }()
		guests = append(guests, g)
	}
	fig = &result.Figure{
		Title: "READs over SoftRoCE: package verbs against perftest (3.9.3)", X: "READ", Y: "time taken by verbs / by perftest",
		Machine: guests[0].Machine(), Columns: []string{"verbs", "perftest", "unit"},
	}
	fig.Notef("each sample is a pair of runs in turn, first one then the other first; 1.1 is 10 %% slower than perftest; both post singly")
	for i, c := range cells {
		fig.XNames = append(fig.XNames, c.name)
		if err := c.compare(ctx, o, guests, fig, i+1); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return fig, nil
}

// compare measures o.Runs pairs of one cell.
func (c *cell) compare(ctx context.Context, o *trial.Options, guests []*guest.Guest, fig *result.Figure, x int) error {
	client, server := guests[0], guests[0]
	addr := addresses[0]
	if c.apart {
		server, addr = guests[1], addresses[1]
	}
	var ours, theirs, ratios []float64
	for run := range o.Runs {
		var a, b float64
		var err error
		if run%2 == 0 {
			a, err = c.verbs(ctx, client, server, addr)
		}
		if err == nil {
			b, err = c.perftest(ctx, client, server, addr)
		}
		if err == nil && run%2 != 0 {
			a, err = c.verbs(ctx, client, server, addr)
		}
		if err != nil {
			return err
		}
		ours, theirs = append(ours, a), append(theirs, b)
		if c.higherIsFaster {
			a, b = b, a
		}
		ratios = append(ratios, a/b)
	}
	c.judge(fig, result.Median(ratios))
	o.Logf("%s: verbs %.4g, perftest %.4g %s; ratio %.3f", c.name, result.Median(ours), result.Median(theirs), c.unit, result.Median(ratios))
	fig.Add("verbs / perftest", float64(x), ratios, fmt.Sprintf("%.4g", result.Median(ours)), fmt.Sprintf("%.4g", result.Median(theirs)), c.unit)
	return nil
}

// judge holds what is measured in one guest against what our binding may cost; between two
// it is reported.
func (c *cell) judge(fig *result.Figure, ratio float64) {
	if !c.apart {
		fig.Bound(c.name, ratio, 1.1, "x perftest's time", "the issue's, which wishes for 1.05")
	}
}
