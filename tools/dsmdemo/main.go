// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"os"
	"path/filepath"

	ucli "github.com/urfave/cli/v2"

	"lazystate/internal/cli"
)

func main() { os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := &ucli.App{
		Name: "dsmdemo", Usage: "kills a process of a parallel program, and shows that it does not matter",
		Flags: []ucli.Flag{
			&ucli.IntFlag{Name: "nodes", Value: 4, Usage: "processes"},
			&ucli.IntFlag{Name: "victim", Value: 2, Usage: "which `NODE` is killed"},
			&ucli.IntFlag{Name: "bodies", Value: 4096, Usage: "of Barnes-Hut"},
			&ucli.IntFlag{Name: "steps", Value: 12, Usage: "of Barnes-Hut"},
			&ucli.DurationFlag{Name: "every", Value: defaultEvery, Usage: "time between checkpoints"},
			&ucli.StringFlag{Name: "bin", Usage: "`FOLDER` of dsmrun, dsmd and dsmapps; that of this program"},
		},
		Action: action,
	}
	return cli.Main(ctx, app, args, stdin, stdout, stderr)
}

func action(c *ucli.Context) error {
	d := demo{
		nodes: c.Int("nodes"), victim: c.Int("victim"), bodies: c.Int("bodies"), steps: c.Int("steps"), every: c.Duration("every"),
		bin: c.String("bin"), out: c.App.Writer,
	}
	if d.nodes < 2 || d.victim < 0 || d.victim >= d.nodes || d.every <= 0 {
		return cli.Usagef("%d nodes, of which %d is killed, a checkpoint every %v", d.nodes, d.victim, d.every)
	}
	if d.bin == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		d.bin = filepath.Dir(self)
	}
	return d.run(c.Context)
}
