// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"io"
	"os"

	ucli "github.com/urfave/cli/v2"

	"lazystate/internal/cli"
)

func main() { os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	keeper := &ucli.StringFlag{Name: "keeper", Value: "/run/lazystate/scd.sock", EnvVars: []string{"MTCP_KEEPER"}, Usage: "unix socket of the keeper"}
	common := []ucli.Flag{keeper,
		&ucli.Uint64Flag{Name: "size", Value: 400 << 20, Usage: "`bytes` of the stream"},
		&ucli.IntFlag{Name: "write", Value: 8 << 10, Usage: "`bytes` of a write"},
		&ucli.Uint64Flag{Name: "export", Value: 8 << 10, Usage: "`bytes` between two snapshots; 0: none is taken"},
		&ucli.IntFlag{Name: "state", Value: 1 << 10, Usage: "`bytes` of a snapshot"},
		&ucli.BoolFlag{Name: "lazy", Usage: "the state is made in the box; else a system call copies it there"},
	}
	serving := append(common[:len(common):len(common)],
		&ucli.StringFlag{Name: "listen", Value: "127.0.0.1:5001", Usage: "`address` to serve at"},
		&ucli.IntFlag{Name: "processes", Value: 1, Usage: "1, or 2: the other one is ttcp back"},
		&ucli.IntFlag{Name: "channels", Value: 1, Usage: "between the two"},
		&ucli.BoolFlag{Name: "idle", Usage: "take one snapshot, and send nothing"},
		&ucli.BoolFlag{Name: "base", Usage: "ordinary connections, without boxes"})
	app := &ucli.App{Name: "ttcp", Usage: "sends a stream from sessions that move, and reads it"}
	app.Commands = []*ucli.Command{
		{Name: "serve", Usage: "sends the stream to each client", Flags: serving, Action: func(c *ucli.Context) error { return serve(c.Context, options(c)) }},
		{Name: "back", Usage: "is the second process", Flags: common, Action: func(c *ucli.Context) error { return back(c.Context, options(c)) }},
		{Name: "pipe", Usage: "writes the stream to standard output", Hidden: true, Flags: common, Action: func(c *ucli.Context) error {
			return options(c).stream(stdout, 0, base)
		}},
		{Name: "read", Usage: "reads a stream and checks it", ArgsUsage: "ADDRESS", Action: func(c *ucli.Context) error {
			if c.NArg() != 1 {
				return cli.Usagef("read takes an address")
			}
			r, err := read(c.Context, c.Args().First())
			if err != nil {
				return err
			}
			return json.NewEncoder(stdout).Encode(r)
		}},
	}
	return cli.Main(ctx, app, args, stdin, stdout, stderr)
}

// config is what a process of the server is asked to do.
type config struct {
	keeper, listen      string
	size, export        uint64
	write, state        int
	processes, channels int
	lazy, idle, base    bool
}

func options(c *ucli.Context) config {
	return config{
		keeper: c.String("keeper"), listen: c.String("listen"), size: c.Uint64("size"), export: c.Uint64("export"),
		write: max(1, min(c.Int("write"), mostWrite)), state: max(8, c.Int("state")), processes: c.Int("processes"), channels: c.Int("channels"),
		lazy: c.Bool("lazy"), idle: c.Bool("idle"), base: c.Bool("base"),
	}
}
