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
		Name:  "bdlab",
		Usage: "boots lab machines and reaches into them",
		Commands: []*ucli.Command{
			upCommand(), superviseCommand(), execCommand(), shellCommand(), consoleCommand(),
			putCommand(), getCommand(), qmpCommand(), resetCommand(), lsCommand(), downCommand(), kernelsCommand(), accelCommand(),
		},
	}
	return cli.Main(ctx, app, args, stdin, stdout, stderr)
}
