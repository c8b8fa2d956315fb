// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"os"

	ucli "github.com/urfave/cli/v2"

	"lazystate/internal/cli"
	"lazystate/mtcp/steer"
)

const defaultSocket = "/run/lazystate/mtcpd.sock"

func main() { os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := &ucli.App{
		Name: "mtcpd", Usage: "lets connections of this host go on with other servers",
		Flags: append([]ucli.Flag{
			&ucli.StringSliceFlag{Name: "interface", EnvVars: []string{"MTCP_INTERFACES"}, Usage: "the `INTERFACE` towards servers; may be repeated"},
			&ucli.StringFlag{Name: "hook", Value: steer.Auto.String(), Usage: "where its programs are attached: tcx, clsact, or auto"},
			&ucli.StringFlag{Name: "socket", Value: defaultSocket, EnvVars: []string{"MTCP_SOCKET"}, Usage: "control `SOCKET`"},
			&ucli.StringFlag{Name: "group", Usage: "whose members may use it, besides root"},
			&ucli.StringFlag{Name: "gateway", Usage: "steer the connections of others, as the servers in `FILE` say"},
			&ucli.StringFlag{Name: "pin", Usage: "a `FOLDER` of a BPF file system, where connections outlive mtcpd"},
			cli.LogFlag("MTCP_LOG_LEVEL"),
		}, policyFlags()...),
		Action:   action,
		Commands: commands(),
	}
	return cli.Main(ctx, app, args, stdin, stdout, stderr)
}
