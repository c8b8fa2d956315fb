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
		Name: "bdnic", Usage: "answers RDMA in a virtual machine's place, from its memory",
		Flags: []ucli.Flag{
			&ucli.StringFlag{Name: "config", Value: defaultPath, EnvVars: []string{"BD_NIC_CONFIG"}, Usage: "configuration `FILE`"},
			&ucli.BoolFlag{Name: "check-config", Usage: "check the configuration and exit"},
			cli.LogFlag("BD_LOG_LEVEL"),
		},
		Action: action,
	}
	return cli.Main(ctx, app, args, stdin, stdout, stderr)
}
