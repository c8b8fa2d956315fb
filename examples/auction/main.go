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
	app := &ucli.App{Name: "auction", Usage: "an auction in three tiers, of which two may die"}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	app.Commands = []*ucli.Command{initCommand(), frontCommand(log), middleCommand(log), rescueCommand(log), loadCommand()}
	return cli.Main(ctx, app, args, stdin, stdout, stderr)
}

func keeperFlag() ucli.Flag {
	return &ucli.StringFlag{Name: "keeper", Value: "/run/lazystate/scd.sock", EnvVars: []string{"MTCP_KEEPER"}, Usage: "unix socket of the keeper; empty: ordinary connections"}
}

func frontCommand(log *slog.Logger) *ucli.Command {
	return &ucli.Command{
		Name: "front", Usage: "speaks HTTP",
		Flags: []ucli.Flag{
			keeperFlag(),
			&ucli.StringFlag{Name: "listen", Value: "127.0.0.1:8080", Usage: "`address` to serve at"},
			&ucli.StringFlag{Name: "control", Value: "127.0.0.1:8081", Usage: "`address` for the monitor"},
			&ucli.StringFlag{Name: "notes", Usage: "`file` that remembers which middle tiers are dead"},
			&ucli.StringFlag{Name: "middle", Required: true, Usage: "middle tiers, `NAME=ADDRESS,...`, the same at all front ends"},
		},
		Action: func(c *ucli.Context) error {
			nodes, err := nodesOf(c.String("middle"))
			if err != nil {
				return cli.Usagef("%v", err)
			}
			return serveFront(c.Context, frontConfig{c.String("keeper"), c.String("listen"), c.String("control"), c.String("notes"), nodes}, log)
		},
	}
}

func middleCommand(log *slog.Logger) *ucli.Command {
	return &ucli.Command{
		Name: "middle", Usage: "makes transactions",
		Flags: []ucli.Flag{
			keeperFlag(),
			&ucli.StringFlag{Name: "name", Required: true, Usage: "the node's `name`"},
			&ucli.StringFlag{Name: "listen", Value: "127.0.0.1:9001", Usage: "`address` for the front ends"},
			&ucli.StringFlag{Name: "database", EnvVars: []string{"MTCP_DATABASE"}, Required: true, Usage: "PostgreSQL's `connection string`"},
			&ucli.IntFlag{Name: "connections", Value: 16, Usage: "`number` of connections to it"},
		},
		Action: func(c *ucli.Context) error {
			if c.Int("connections") < 1 {
				return cli.Usagef("--connections: at least one")
			}
			return serveMiddle(c.Context, middleConfig{c.String("name"), c.String("keeper"), c.String("listen"), c.String("database"), c.Int("connections")}, log)
		},
	}
}

// at is told which point of the work has been reached: tests end the process there.
var at = func(point string) {}
