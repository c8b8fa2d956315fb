// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	own "lazystate/internal/cli"
)

func main() {
	os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := &cli.App{
		Name: "verbscover", Usage: "measure which C functions the Go API of RDMA has",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "root", Value: ".", Usage: "the repository"},
			&cli.StringFlag{Name: "include", Value: "/usr/include", Usage: "where the C headers are"},
			&cli.StringFlag{Name: "o", Usage: "write to this `file` (default: standard output)"},
			&cli.BoolFlag{Name: "check", Usage: "write nothing; fail if docs/verbs-coverage.md is not up to date"},
		},
		Action: func(c *cli.Context) error { return cover(c) },
	}
	return own.Main(ctx, app, args, stdin, stdout, stderr)
}

func cover(c *cli.Context) error {
	page, err := measure(c.String("root"), c.String("include"))
	if err != nil {
		return err
	}
	switch {
	case c.Bool("check"):
		name := filepath.Join(c.String("root"), "docs/verbs-coverage.md")
		have, err := os.ReadFile(name)
		if err == nil && !bytes.Equal(have, page) {
			err = fmt.Errorf("%s is not up to date: make generate", name)
		}
		return err
	case c.String("o") != "":
		return os.WriteFile(c.String("o"), page, 0o644)
	}
	_, err = c.App.Writer.Write(page)
	return err
}
