// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(_ context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("busy", flag.ContinueOnError)
	fs.SetOutput(stderr)
	cpu := fs.Int("cpu", -1, "processor the tasks are pinned to; -1: none")
	tasks := fs.Int("tasks", 1, "number of busy threads")
	length := fs.Duration("for", 10*time.Second, "how long")
	if err := fs.Parse(args); err != nil || fs.NArg() > 0 || *tasks < 1 {
		return 2
	}
	r, err := work(*cpu, *tasks, *length)
	if err == nil {
		err = json.NewEncoder(stdout).Encode(r)
	}
	if err != nil {
		fmt.Fprintf(stderr, "busy: %v\n", err)
		return 1
	}
	return 0
}
