// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"lazystate/bench/apps/dsmapps/barnes"
	"lazystate/bench/apps/dsmapps/cache"
	"lazystate/bench/apps/dsmapps/lu"
	"lazystate/bench/apps/dsmapps/program"
	"lazystate/bench/apps/dsmapps/radix"
	"lazystate/bench/apps/dsmapps/sor"
	"lazystate/bench/apps/dsmapps/water"
	"lazystate/dsm/client"
)

func programs() map[string]program.Program {
	return map[string]program.Program{
		"sor": &sor.SOR{}, "lu": &lu.LU{}, "radix": &radix.Radix{}, "cache": &cache.Cache{},
		"barnes": &barnes.Barnes{}, "nsquared": &water.Nsquared{}, "spatial": &water.Spatial{},
	}
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// options are how a program runs.
type options struct {
	name     string
	program  program.Program
	local    int
	needs    int
	check    bool
	progress bool
}

func parse(args []string, stderr io.Writer) (*options, error) {
	all := programs()
	names := strings.Join(slices.Sorted(maps.Keys(all)), ", ")
	if len(args) == 0 || all[args[0]] == nil {
		return nil, fmt.Errorf("dsmapps PROGRAM [flags]: a program is one of %s", names)
	}
	o := &options{name: args[0], program: all[args[0]]}
	fs := flag.NewFlagSet("dsmapps "+o.name, flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.IntVar(&o.local, "local", 0, "run so many nodes in this process")
	fs.IntVar(&o.needs, "needs", 0, "write the memory and locks that so many nodes need")
	fs.BoolVar(&o.check, "check", false, "run it sequentially, too, and compare")
	fs.BoolVar(&o.progress, "progress", false, "write each step to the standard error")
	o.program.Flags(fs)
	if err := fs.Parse(args[1:]); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 || o.local < 0 || o.needs < 0 {
		return nil, fmt.Errorf("what is %q?", fs.Args())
	}
	return o, o.program.Check()
}

// report is what node 0 writes.
type report struct {
	Program    string         `json:"program"`
	Nodes      int            `json:"nodes"`
	Digest     program.Digest `json:"digest"`
	Seconds    float64        `json:"seconds"`
	Sequential float64        `json:"sequential_seconds,omitempty"`
}

func run(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "dsmapps: %v\n", err)
		return 2
	}
	if o.needs > 0 {
		need := program.Local(o.program, o.needs)
		err = json.NewEncoder(stdout).Encode(map[string]int{"bytes": need.Bytes, "locks": need.Locks})
	} else {
		err = o.run(stdout, stderr)
	}
	if err != nil {
		fmt.Fprintf(stderr, "dsmapps: %v\n", err)
		return 1
	}
	return 0
}

func (o *options) run(stdout, stderr io.Writer) error {
	var r report
	body := func(n *client.Node) error {
		begin := time.Now()
		digest, err := o.program.Parallel(n, o.steps(n, stderr))
		if n.ID() == 0 {
			r = report{Program: o.name, Nodes: n.Nodes(), Digest: digest, Seconds: time.Since(begin).Seconds()}
		}
		return err
	}
	var err error
	if o.local > 0 {
		err = client.Local(program.Local(o.program, o.local), body)
	} else {
		err = client.Main(body)
	}
	if err != nil || r.Nodes == 0 {
		return err
	}
	if o.check {
		err = o.compare(&r)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(r)
}

// steps tells of steps that were not told of before.
func (o *options) steps(n *client.Node, w io.Writer) program.Progress {
	return func(step, of int) {
		if o.progress && !n.Replayed() {
			fmt.Fprintf(w, "%s: step %d of %d\n", o.name, step, of)
		}
	}
}

func (o *options) compare(r *report) error {
	begin := time.Now()
	want := o.program.Sequential()
	r.Sequential = time.Since(begin).Seconds()
	if r.Digest != want {
		return fmt.Errorf("%s on %d nodes has the result %s, sequentially %s", o.name, r.Nodes, r.Digest, want)
	}
	return nil
}
