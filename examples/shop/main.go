// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"log/slog"
	"os"

	ucli "github.com/urfave/cli/v2"

	"lazystate/internal/cli"
)

func main() { os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	keeper := &ucli.StringFlag{Name: "keeper", Value: "/run/lazystate/scd.sock", EnvVars: []string{"MTCP_KEEPER"}, Usage: "unix socket of the keeper"}
	app := &ucli.App{Name: "shop", Usage: "orders that are made exactly once, whatever dies"}
	app.Commands = []*ucli.Command{
		{
			Name: "front", Usage: "speaks HTTP",
			Flags:  []ucli.Flag{keeper, &ucli.StringFlag{Name: "listen", Value: "127.0.0.1:8080", Usage: "`address` to serve at"}},
			Action: func(c *ucli.Context) error { return front(c.Context, c.String("keeper"), c.String("listen")) },
		},
		{
			Name: "back", Usage: "makes transactions",
			Flags: []ucli.Flag{keeper, &ucli.StringFlag{Name: "database", EnvVars: []string{"MTCP_DATABASE"}, Required: true, Usage: "PostgreSQL's `connection string`"}},
			Action: func(c *ucli.Context) error {
				return back(c.Context, c.String("keeper"), c.String("database"), slog.New(slog.NewTextHandler(stderr, nil)))
			},
		},
	}
	return cli.Main(ctx, app, args, stdin, stdout, stderr)
}

// at is told which point of the work has been reached: tests end the process there.
var at = func(point string) {}
