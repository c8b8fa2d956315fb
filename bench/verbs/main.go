// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"lazystate/bench/result"
	"lazystate/bench/trial"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == serveArg {
		os.Exit(serve(os.Args[2], os.Stdin, os.Stdout, os.Stderr))
	}
	var bandwidth bool
	p := trial.Program{
		Name: "verbs", About: "RDMA between two processes, beside TCP, UCX and a bare copy (section 3.9.3)", Runs: 11, Timeout: 15 * time.Minute,
		Flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&bandwidth, "bandwidth", false, "64 KiB with 8 on their way, instead of latencies")
		},
		Takes:   func(o *trial.Options) time.Duration { return time.Duration(o.Runs) * 6 * time.Second },
		Measure: func(ctx context.Context, o *trial.Options) (*result.Figure, error) { return measure(ctx, o, bandwidth) },
	}
	p.Exit()
}

const (
	small = 64
	large = 64 << 10
	depth = 8
)

// point is one thing that is measured of a carrier: a bar of the figure.
type point struct {
	name string
	kind kind
}

type kind int

const (
	read kind = iota
	write
	cas
)

var (
	latencies  = []point{{"READ 64 B", read}, {"WRITE 64 B", write}, {"CMP_AND_SWP", cas}}
	bandwidths = []point{{"READ 64 KiB", read}, {"WRITE 64 KiB", write}}
)

// carrier is a way between two processes. A result of 0 is a thing it has not.
type carrier interface {
	name() string
	latency(context.Context, kind) (us float64, err error)
	bandwidth(context.Context, kind) (mbs float64, err error)
	Close() error
}

func measure(ctx context.Context, o *trial.Options, bandwidth bool) (fig *result.Figure, err error) {
	fig = &result.Figure{Title: "One remote operation at a time, two processes (3.9.3)", X: "operation", Y: "us, round trip", LogY: true, Machine: result.Host()}
	points, bounds := latencies, latencyBounds
	if bandwidth {
		fig.Name, fig.Title, fig.Y = "verbs-bandwidth", "64 KiB, 8 on their way, two processes", "MB/s"
		points, bounds = bandwidths, bandwidthBounds
	}
	for _, p := range points {
		fig.XNames = append(fig.XNames, p.name)
	}
	openers := []carrierOpener{openRoce, openTCP, openShm, openCopy, openSharedCopy, openUCX}
	if bandwidth {
		openers = append(openers, openRoceSingly, openRoceMTU1024)
	}
	carriers, err := open(ctx, o, fig, openers)
	defer func() {
		for _, c := range carriers {
			err = errors.Join(err, c.Close())
		}
	}()
	if err != nil {
		return nil, err
	}
	samples := map[string][][]float64{}
	for round := range o.Runs {
		for _, c := range carriers {
			if samples[c.name()] == nil {
				samples[c.name()] = make([][]float64, len(points))
			}
			for i, p := range points {
				v, err := one(ctx, c, p.kind, bandwidth)
				if err != nil {
					return nil, fmt.Errorf("%s over %s: %w", p.name, c.name(), err)
				}
				if v > 0 {
					samples[c.name()][i] = append(samples[c.name()][i], v)
				}
			}
		}
		o.Logf("round %d of %d", round+1, o.Runs)
	}
	for _, c := range carriers {
		for i, s := range samples[c.name()] {
			fig.Add(c.name(), float64(i+1), s)
		}
	}
	note(fig, carriers, samples, points)
	judge(fig, samples, points, bounds, bandwidth)
	return fig, nil
}

func one(ctx context.Context, c carrier, k kind, bandwidth bool) (float64, error) {
	if bandwidth {
		return c.bandwidth(ctx, k)
	}
	return c.latency(ctx, k)
}

// note has each carrier beside roce, and what else has a bound: shared memory beside
// a bare copy, a READ beside UCX's put.
func note(fig *result.Figure, carriers []carrier, samples map[string][][]float64, points []point) {
	for _, c := range carriers {
		other := samples[c.name()]
		switch c.name() {
		case roceName:
			continue
		case ucxName: // its get waits until the passive process looks; its put does not
			compare(fig, points[read].name+": "+roceName, "a put of "+ucxName, samples[roceName][read], other[write])
		case copyName, sharedCopyName:
			ratios(fig, shmName, c.name(), samples[shmName], other, points)
		}
		ratios(fig, roceName, c.name(), samples[roceName], other, points)
	}
}

// ratios notes one carrier against another, point by point.
func ratios(fig *result.Figure, name, than string, base, other [][]float64, points []point) {
	for i := range min(len(base), len(other)) {
		compare(fig, points[i].name+": "+name, than, base[i], other[i])
	}
}

// compare notes a against b: the median of the rounds' own ratios.
func compare(fig *result.Figure, what, than string, a, b []float64) {
	if r, ok := ratio(a, b); ok {
		fig.Notef("%s is %.3g x %s (median of the rounds' ratios)", what, r, than)
	}
}

// carrierOpener starts the other process of a carrier.
type carrierOpener func(context.Context) (carrier, error)

// open opens those carriers that this machine has.
func open(ctx context.Context, o *trial.Options, fig *result.Figure, openers []carrierOpener) ([]carrier, error) {
	var carriers []carrier
	for _, start := range openers {
		c, err := start(ctx)
		var missing *missingError
		if errors.As(err, &missing) {
			fig.Notef("%v", err)
			o.Logf("%v", err)
			continue
		}
		if err != nil {
			return carriers, err
		}
		carriers = append(carriers, c)
	}
	return carriers, nil
}

// missingError is a peer that this machine does not have.
type missingError struct{ what string }

func (e *missingError) Error() string { return e.what }
