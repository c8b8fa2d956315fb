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
		Name: "bdmon", Usage: "watches machines from outside their kernels, and heals them",
		Flags: []ucli.Flag{
			&ucli.StringFlag{Name: "config", Value: config.DefaultPath, EnvVars: []string{"BD_CONFIG"}, Usage: "configuration `FILE`"},
			&ucli.BoolFlag{Name: "check-config", Usage: "check the configuration and exit"},
			&ucli.StringFlag{Name: "new-identity", Usage: "make this monitor's private key in `FILE`, print its public one and exit"},
			&ucli.BoolFlag{Name: "dry-run", EnvVars: []string{"BD_DRY_RUN"}, Usage: "plan and log repairs, carry none out"},
			cli.LogFlag("BD_LOG_LEVEL"),
		},
		Action: action,
	}
	return cli.Main(ctx, app, args, stdin, stdout, stderr)
}
