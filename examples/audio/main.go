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
		Name: "audio", Usage: "streams music that its own death does not interrupt", ArgsUsage: "FILE...",
		Flags: []ucli.Flag{
			&ucli.StringFlag{Name: "keeper", Value: "/run/lazystate/scd.sock", EnvVars: []string{"MTCP_KEEPER"}, Usage: "unix socket of the keeper"},
			&ucli.StringFlag{Name: "listen", Value: "127.0.0.1:8000", Usage: "`address` to serve at"},
			&ucli.IntFlag{Name: "kbit", Value: 128, Usage: "of a second of music; the same in all files"},
			&ucli.IntFlag{Name: "burst", Value: 64 << 10, Usage: "`bytes` that a listener gets at once"},
		},
		Action: func(c *ucli.Context) error {
			if c.NArg() == 0 || c.Int("kbit") <= 0 {
				return cli.Usagef("music to play, and how fast")
			}
			s, err := load(c.Args().Slice(), c.Int("kbit"), c.Int("burst"))
			if err != nil {
				return err
			}
			return s.serve(c.Context, c.String("keeper"), c.String("listen"))
		},
	}
	return cli.Main(ctx, app, args, stdin, stdout, stderr)
}
