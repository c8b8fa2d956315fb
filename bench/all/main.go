// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// bench is one figure: the program that makes it, and with what arguments.
type bench struct {
	name    string   // of the figure
	program string   // a folder of bench/; empty: as the figure
	args    []string // as they stand in the figure's command
	runs    int      // 0: the program's own default
}

func (b bench) folder() string { return cmp.Or(b.program, b.name) }

// command is the one that a figure made by this bench names.
func (b bench) command(quick bool) string {
	return strings.Join(append([]string{"go run ./bench/" + b.folder()}, b.arguments(quick)...), " ")
}

func (b bench) arguments(quick bool) []string {
	runs := b.runs
	if quick {
		runs = 1
	}
	if runs == 0 {
		return slices.Clone(b.args)
	}
	return append(slices.Clone(b.args), fmt.Sprintf("--runs=%d", runs))
}

// benches in the order of their cost: what fails early fails cheaply.
var benches = []bench{
	{name: "fetch"}, {name: "fetch-wire", program: "fetch", args: []string{"--wire=true"}}, {name: "verbs"}, {name: "verbs-bandwidth", program: "verbs", args: []string{"--bandwidth=true"}}, {name: "lockgrant"}, {name: "monitorcpu"}, {name: "targetcost"}, {name: "boxcost"}, {name: "table32"},
	{name: "targetcost-icount", program: "targetcost", args: []string{"--icount=true"}, runs: 2}, {name: "fig37"}, {name: "fig38"}, {name: "table33"}, {name: "table33-wire", program: "table33", args: []string{"--wire=true"}}, {name: "boot"}, {name: "verbsvm"},
	{name: "table22"}, {name: "fig211"}, {name: "fig212"}, {name: "handoff"}, {name: "criu"}, {name: "agentcost"}, {name: "table21"}, {name: "fig215"},
	{name: "fig28", program: "ttcp"}, {name: "fig29", program: "ttcp", args: []string{"--processes=2"}}, {name: "fig210", program: "ttcp", args: []string{"--mute=true", "--processes=2"}},
	{name: "fig213"}, {name: "fig214", program: "fig213", args: []string{"--sizes=true"}},
	{name: "fig39"}, {name: "fig310", program: "fig39", args: []string{"--latency=true"}},
	{name: "fig311"}, {name: "fig312"}, {name: "fig312-connections", program: "fig312", args: []string{"--connections=true"}},
	{name: "dsmmicro"}, {name: "sor"}, {name: "lu"}, {name: "recovery"}, {name: "table43"}, {name: "fig47", program: "table43", args: []string{"--figure=4.7"}}, {name: "fig48", program: "table43", args: []string{"--figure=4.8"}}, {name: "table43-long", program: "table43", args: []string{"--figure=long"}},
	{name: "detect"}, {name: "falsepos"}, {name: "fig313"}, {name: "fig314"}, {name: "peers"},
}

// apart are benches that take hours and are run by themselves: make survival, which
// keeps what it has, and an hour of mixed load, which make soak has.
var apart = []bench{{name: "survival"}, {name: "detect-soak", program: "detect", args: []string{"--soak=1h0m0s"}}}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("all", flag.ContinueOnError)
	fs.SetOutput(stderr)
	only := fs.String("only", "", "names of benches, separated by commas (default: "+strings.Join(names(benches), ",")+")")
	out := fs.String("out", "bench/results", "folder of the CSV and SVG files")
	force := fs.Bool("force", false, "measure again what the code of this tree has measured already")
	quick := fs.Bool("quick", false, "one run of each point: does everything work?")
	plan := fs.Bool("plan", false, "only say what is missing and how long it takes on an idle machine")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	chosen, err := choose(*only)
	if err == nil && fs.NArg() > 0 {
		err = fmt.Errorf("no arguments are wanted: %v", fs.Args())
	}
	if err != nil {
		fmt.Fprintf(stderr, "all: %v\n", err)
		return 2
	}
	s := suite{out: *out, quick: *quick, force: *force, stdout: stdout, stderr: stderr}
	defer s.clean()
	if err := s.build(ctx, chosen); err != nil {
		fmt.Fprintf(stderr, "all: %v\n", err)
		return 1
	}
	missing, err := s.plan(ctx, chosen)
	if err != nil {
		fmt.Fprintf(stderr, "all: %v\n", err)
		return 1
	}
	if *plan {
		return 0
	}
	failed := 0
	for _, b := range missing {
		if ctx.Err() != nil {
			break
		}
		if !s.measure(ctx, b) {
			failed++
		}
	}
	if err := s.plot(ctx); err != nil {
		fmt.Fprintf(stderr, "all: %v\n", err)
		failed++
	}
	s.table()
	if failed > 0 || ctx.Err() != nil {
		return 1
	}
	return 0
}

func names(of []bench) []string {
	var all []string
	for _, b := range of {
		all = append(all, b.name)
	}
	return all
}

func choose(only string) ([]bench, error) {
	if only == "" {
		return benches, nil
	}
	var chosen []bench
	for _, n := range strings.Split(only, ",") {
		i := slices.Index(names(benches), n)
		if i := slices.Index(names(apart), n); i >= 0 {
			return nil, fmt.Errorf("%s takes hours and is run by itself: %s", n, apart[i].command(false))
		}
		if i < 0 {
			return nil, fmt.Errorf("no bench %q", n)
		}
		chosen = append(chosen, benches[i])
	}
	return chosen, nil
}

// row is one line of the table at the end.
type row struct {
	name string
	took time.Duration
	err  error
	kept bool // measured earlier from the same code
}
