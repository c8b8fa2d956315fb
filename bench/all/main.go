// SPDX-License-Identifier: Apache-2.0

package main

import (
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

// benches in the order of their cost: what fails early fails cheaply.
var benches = []string{
	"fetch", "monitorcpu", "targetcost", "lockgrant", "fig37", "fig38", "table33", "fig313", "fig314", "peers",
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("all", flag.ContinueOnError)
	fs.SetOutput(stderr)
	only := fs.String("only", "", "names of benches, separated by commas (default: "+strings.Join(benches, ",")+")")
	out := fs.String("out", "bench/results", "folder of the CSV and SVG files")
	force := fs.Bool("force", false, "measure again what the code of this tree has measured already")
	quick := fs.Bool("quick", false, "one run of each point: does everything work?")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	names, err := choose(*only)
	if err == nil && fs.NArg() > 0 {
		err = fmt.Errorf("no arguments are wanted: %v", fs.Args())
	}
	if err != nil {
		fmt.Fprintf(stderr, "all: %v\n", err)
		return 2
	}
	s := suite{out: *out, quick: *quick, force: *force, stdout: stdout, stderr: stderr}
	defer s.clean()
	if err := s.build(ctx, names); err != nil {
		fmt.Fprintf(stderr, "all: %v\n", err)
		return 1
	}
	failed := 0
	for _, name := range names {
		if ctx.Err() != nil {
			break
		}
		if !s.have(ctx, name) && !s.measure(ctx, name) {
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

func choose(only string) ([]string, error) {
	if only == "" {
		return benches, nil
	}
	names := strings.Split(only, ",")
	for _, n := range names {
		if !slices.Contains(benches, n) {
			return nil, fmt.Errorf("no bench %q", n)
		}
	}
	return names, nil
}

// row is one line of the table at the end.
type row struct {
	name string
	took time.Duration
	err  error
	kept bool // measured earlier from the same code
}
