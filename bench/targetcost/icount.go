// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"lazystate/bench/guest"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/internal/pause"
	"lazystate/repair/drill"
	"lazystate/tools/lab"
)

// works are fixed pieces of work: a program of the drills, and how much of it.
var works = []struct {
	name, program string
	n             int
}{
	{"CPU-bound loop", "timed-loop", 300_000_000},
	{"40 x fork, exit, wait", "timed-fork", 40},
	{"20 x vfork, exec, wait", "timed-exec", 20},
	{"1500 round trips over two pipes", "timed-pipe", 1500},
}

// crowds are numbers of processes that a census counts, beside the guest's own.
var crowds = []int{50, 400, 1500}

// counted are the conditions; the last shows what the first's repetition does.
var counted = []struct {
	series string
	params []string // of the module; nil: it is not loaded
}{
	{"without module", nil},
	{"with module", []string{"allow_repair=1"}},
	{"with module, sched_switch=0", []string{"allow_repair=1", "sched_switch=0"}},
	{"without module, again", nil},
}

// count is --icount: QEMU counts instructions, one is a nanosecond of the
// guest's time, so no other load on the host shows.
func count(ctx context.Context, o *trial.Options) (*result.Figure, error) {
	files, remove, err := guest.Arsenal(ctx)
	if err != nil {
		return nil, err
	}
	defer remove()
	g, err := guest.Boot(ctx, o, guest.Config{Name: "targetcost", Lab: lab.Config{Files: files, ICount: true, VCPUs: 1}, Bare: true})
	if err != nil {
		return nil, err
	}
	fig := &result.Figure{
		Name: "targetcost-icount", Title: "Target's cost of all sensors, in instructions (3.9.3)", X: "work", Y: "million instructions",
		LogY: true, Machine: g.Machine(), Columns: []string{"% of without module"},
	}
	for _, w := range works {
		fig.XNames = append(fig.XNames, w.name)
	}
	for _, n := range crowds {
		fig.XNames = append(fig.XNames, fmt.Sprintf("one census of %d processes more", n))
	}
	fig.Notef("QEMU counts instructions (-icount shift=0): one is a nanosecond of the guest's clock, and the host's load does not show; one CPU, which is nic_cpu too")
	fig.Notef("the same boot; of each work and condition %d runs in the order of the series", o.Runs)
	fig.Notef("a census: the module's own CENSUS_COST, the median of %d, with so many sleeping processes of one user beside the guest's own", censuses)
	err = countWorks(ctx, o, g, fig)
	if err == nil {
		err = countCensuses(ctx, o, g, fig)
	}
	return fig, errors.Join(err, g.Close())
}

func countWorks(ctx context.Context, o *trial.Options, g *guest.Guest, fig *result.Figure) error {
	base := make([]float64, len(works))
	for _, c := range counted {
		if c.params != nil {
			if err := g.Load(ctx, c.params...); err != nil {
				return err
			}
		}
		for i, w := range works {
			var millions []float64
			for range o.Runs {
				ns, err := timed(ctx, g, w.program, w.n)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", c.series, w.name, err)
				}
				millions = append(millions, ns/1e6)
			}
			if base[i] == 0 {
				base[i] = result.Median(millions)
			}
			o.Logf("%s, %s: %.5g million instructions", c.series, w.name, result.Median(millions))
			fig.Add(c.series, float64(i+1), millions, fmt.Sprintf("%.4f", 100*result.Median(millions)/base[i]))
		}
		if c.params != nil {
			if err := g.Unload(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// timed runs one piece of work and returns what it took by the guest's clock.
func timed(ctx context.Context, g *guest.Guest, program string, n int) (ns float64, err error) {
	out, err := g.VM.Must(ctx, "/bin/rogue", program, strconv.Itoa(n))
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(strings.TrimSpace(out), 64)
}

// censuses are looked at for one point.
const censuses = 9

func countCensuses(ctx context.Context, o *trial.Options, g *guest.Guest, fig *result.Figure) error {
	if err := g.Load(ctx, "allow_repair=1", fmt.Sprintf("census_ms=%d", censusMS)); err != nil {
		return err
	}
	gauge, err := guest.NewGauge(ctx, g.Target, "CENSUS_COST")
	if err != nil {
		return err
	}
	for i, n := range crowds {
		millions, err := crowded(ctx, g, gauge, n)
		if err != nil {
			return fmt.Errorf("%d processes: %w", n, err)
		}
		o.Logf("one census of %d processes more: %.4g million instructions", n, result.Median(millions))
		fig.Add("with module", float64(len(works)+i+1), millions)
	}
	return g.Unload(ctx)
}

// crowded reads what a census takes while n processes sleep.
func crowded(ctx context.Context, g *guest.Guest, gauge *guest.Gauge, n int) (millions []float64, err error) {
	pid, err := g.Release(ctx, drill.Program{Args: []string{"burst", strconv.Itoa(n), "3600000"}, UID: drill.RogueUID})
	if err != nil {
		return nil, err
	}
	defer func() {
		g.Stop(pid)
		err = errors.Join(err, g.WaitCount(ctx, drill.RogueUID, 0, true, 2*time.Minute))
	}()
	if err := g.WaitCount(ctx, drill.RogueUID, n, false, 2*time.Minute); err != nil {
		return nil, err
	}
	for range censuses {
		if err := pause.For(ctx, time.Second); err != nil { // several of them, however slow the guest's clock is
			return nil, err
		}
		us, err := gauge.Read(ctx)
		if err != nil {
			return nil, err
		}
		millions = append(millions, float64(us)/1e3)
	}
	return millions, nil
}
