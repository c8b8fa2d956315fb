// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"

	"lazystate/bench/calls"
	"lazystate/mtcp/cbox"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// report is what is printed.
type report struct {
	Outlives bool                 `json:"outlives"` // boxes lie in the module's memory
	US       map[string][]float64 `json:"us"`
}

func run(args []string, _ io.Reader, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("boxed", flag.ContinueOnError)
	fs.SetOutput(stderr)
	runs := fs.Int("runs", 50, "sessions of each size")
	trips := fs.Int("trips", 2000, "round trips of one byte, in each of as many connections")
	if err := fs.Parse(args); err != nil || fs.NArg() > 0 {
		return 2
	}
	r, err := measure(*runs, *trips)
	if err == nil {
		err = json.NewEncoder(stdout).Encode(r)
	}
	if err != nil {
		fmt.Fprintf(stderr, "boxed: %v\n", err)
		return 1
	}
	return 0
}

func measure(runs, trips int) (*report, error) {
	r := &report{US: map[string][]float64{}}
	probe, err := cbox.NewRegion(1 << 16)
	if err != nil {
		return nil, err
	}
	r.Outlives = probe.Outlives()
	if err := probe.File.Close(); err != nil {
		return nil, err
	}
	for _, kb := range []int{1, 5, 10} {
		samples := map[string][]float64{}
		for range runs {
			if err := calls.Once(samples, kb<<10); err != nil {
				return nil, fmt.Errorf("%d KB: %w", kb, err)
			}
		}
		for name, us := range samples {
			r.US[fmt.Sprintf("%d KB, %s", kb, name)] = us
		}
	}
	for range runs {
		us, err := calls.RoundTrip(trips)
		if err != nil {
			return nil, fmt.Errorf("round trips: %w", err)
		}
		r.US["round trip"] = append(r.US["round trip"], us)
	}
	return r, nil
}
