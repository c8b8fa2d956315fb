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
		Name: "mtcpdemo", Usage: "shows sessions that move between servers under curl",
		Flags: []ucli.Flag{
			&ucli.StringFlag{Name: "bin", Usage: "`FOLDER` of scd, mtcpd and web; without it, that of mtcpdemo"},
			&ucli.IntFlag{Name: "size", Value: 48, Usage: "`MIB` of the file that is downloaded"},
			&ucli.IntFlag{Name: "rate", Value: 8, Usage: "`MIB` a second that each client takes"},
			&ucli.IntFlag{Name: "drained", Value: 6, Usage: "`N` clients of the server that is drained"},
			&ucli.BoolFlag{Name: "json", Usage: "the table as JSON"},
		},
		Action: show,
	}
	return cli.Main(ctx, app, args, stdin, stdout, stderr)
}
