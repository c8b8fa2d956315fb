// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"os"

	ucli "github.com/urfave/cli/v2"

	"lazystate/internal/cli"
	"lazystate/tools/bdmon/config"
)

func main() { os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := &ucli.App{
		Name: "bdctl", Usage: "looks into machines from outside their kernels, and acts through bdmon",
		Flags: []ucli.Flag{
			&ucli.StringFlag{Name: "socket", Value: config.DefaultSocket, EnvVars: []string{"BD_SOCKET"}, Usage: "bdmon's control `SOCKET`"},
			&ucli.DurationFlag{Name: "timeout", Value: defaultTimeout, Usage: "give up after `TIME` (watch: never)"},
		},
		Commands: append(readers(), writers()...),
	}
	return cli.Main(ctx, app, args, stdin, stdout, stderr)
}
