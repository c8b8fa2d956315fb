// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"os"

	ucli "github.com/urfave/cli/v2"

	"lazystate/dsm/store"
	"lazystate/internal/cli"
)

func main() { os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := &ucli.App{
		Name: "dsmlog", Usage: "shows and verifies the DSM's checkpoints and logs",
		Commands: []*ucli.Command{list(), dump(), verify()},
	}
	return cli.Main(ctx, app, args, stdin, stdout, stderr)
}

func asJSON() *ucli.BoolFlag { return &ucli.BoolFlag{Name: "json", Usage: "print JSON"} }

// folders looks at all nodes' that the arguments name.
func folders(c *ucli.Context) ([]*store.Folder, error) {
	if !c.Args().Present() {
		return nil, cli.Usagef("no folder; dsmlog %s --help", c.Command.Name)
	}
	var all []*store.Folder
	for _, arg := range c.Args().Slice() {
		dirs, err := store.Folders(arg)
		if err != nil {
			return nil, err
		}
		for _, dir := range dirs {
			f, err := store.Look(dir)
			if err != nil {
				return nil, err
			}
			all = append(all, f)
		}
	}
	return all, nil
}
