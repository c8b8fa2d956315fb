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
		Name: "web", Usage: "a web server whose sessions outlive its processes",
		Flags: []ucli.Flag{
			&ucli.StringFlag{Name: "keeper", Value: "/run/lazystate/scd.sock", EnvVars: []string{"MTCP_KEEPER"}, Usage: "unix socket of the keeper; empty: ordinary connections"},
			&ucli.StringFlag{Name: "listen", Value: "127.0.0.1:8080", Usage: "`address` to serve at"},
			&ucli.StringFlag{Name: "root", Value: ".", Usage: "`folder` of the files"},
			&ucli.StringFlag{Name: "cgi", Usage: "`folder` of programs, under /cgi-bin/"},
		},
		Action: func(c *ucli.Context) error {
			return serve(c.Context, config{c.String("keeper"), c.String("listen"), c.String("root"), c.String("cgi")})
		},
	}
	return cli.Main(ctx, app, args, stdin, stdout, stderr)
}
