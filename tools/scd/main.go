// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"os"

	ucli "github.com/urfave/cli/v2"

	"lazystate/internal/cli"
	"lazystate/tools/scd/config"
)

func main() { os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := &ucli.App{
		Name: "scd", Usage: "keeps the sessions of this machine's servers, and moves them",
		Flags: []ucli.Flag{
			&ucli.StringFlag{Name: "config", Value: config.DefaultPath, EnvVars: []string{"MTCP_CONFIG"}, Usage: "configuration `FILE`"},
			&ucli.BoolFlag{Name: "check-config", Usage: "check the configuration and exit"},
			&ucli.StringFlag{Name: "new-identity", Usage: "make this server's private key in `FILE`, print its public one and exit"},
			cli.LogFlag("MTCP_LOG_LEVEL"),
		},
		Action:   action,
		Commands: commands(),
	}
	return cli.Main(ctx, app, args, stdin, stdout, stderr)
}
