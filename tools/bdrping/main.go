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
		Name: "bdrping", Usage: "tries an RDMA connection, with rping's and perftest's protocols",
		Commands: []*ucli.Command{server(), client(), perf()},
	}
	return cli.Main(ctx, app, args, stdin, stdout, stderr)
}
