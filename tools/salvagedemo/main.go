// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"os"

	ucli "github.com/urfave/cli/v2"

	"lazystate/internal/cli"
)

func main() { os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := &ucli.App{
		Name: "salvagedemo", Usage: "shows sessions that go on when their server's kernel has panicked",
		Flags: []ucli.Flag{
			&ucli.StringFlag{Name: "bin", Usage: "`FOLDER` of scd, bdmon, web and auction; without it, that of salvagedemo"},
			&ucli.StringFlag{Name: "kernel", Value: "6.12", Usage: "`SERIES` of the machine's kernel: 6.1 or 6.12"},
			&ucli.IntFlag{Name: "size", Value: 24, Usage: "`MIB` of the file that is downloaded"},
			&ucli.IntFlag{Name: "rate", Value: 2, Usage: "`MIB` a second that the client takes"},
		},
		Action: show,
	}
	return cli.Main(ctx, app, args, stdin, stdout, stderr)
}
