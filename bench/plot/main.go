// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"lazystate/bench/result"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		fmt.Fprintln(stderr, "usage: plot FILE.csv...   writes FILE.svg beside each")
		return 2
	}
	for _, name := range args {
		if err := ctx.Err(); err != nil {
			fmt.Fprintf(stderr, "plot: %v\n", err)
			return 1
		}
		out, err := plotFile(name)
		if err != nil {
			fmt.Fprintf(stderr, "plot: %s: %v\n", name, err)
			return 1
		}
		fmt.Fprintln(stdout, out)
	}
	return 0
}

// plotFile draws one CSV file into the SVG beside it.
func plotFile(name string) (string, error) {
	r, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer r.Close()
	fig, err := result.Read(r)
	if err != nil {
		return "", err
	}
	svg, err := draw(fig)
	if err != nil {
		return "", err
	}
	out := strings.TrimSuffix(name, ".csv") + ".svg"
	return out, os.WriteFile(out, svg, 0o644)
}
