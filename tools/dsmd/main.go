// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"os"

	ucli "github.com/urfave/cli/v2"

	"lazystate/dsm"
	"lazystate/dsm/daemon"
	"lazystate/internal/cli"
	"lazystate/tools/dsmd/rank"
	"lazystate/tools/dsmd/settings"
)

// useless is the exit of a node that would end in the same way again.
const useless = cli.ExitError(4)

func main() { os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := &ucli.App{
		Name: "dsmd", Usage: "one node of a parallel program's shared memory", ArgsUsage: "-- PROGRAM [ARGUMENT]...",
		Flags: append(settings.Flags(),
			&ucli.IntFlag{Name: "node", EnvVars: []string{"DSM_NODE"}, Usage: "which `NODE` this is, from 0 on; else a launcher says it"},
			&ucli.StringFlag{Name: "stdin", Usage: "`FILE` that the program reads"},
			&ucli.BoolFlag{Name: "until-eof", Usage: "end when the standard input does: whoever started this is gone"},
			&ucli.IntFlag{Name: "processor", Value: -1, Usage: "keep the program, and what of dsmd it waits for, on the `N`-th processor that dsmd may use, from 0 on"},
			&ucli.Uint64Flag{Name: "kill-at", Usage: "end by SIGKILL at operation `N`, to try a recovery"},
			cli.LogFlag("DSM_LOG_LEVEL"),
		),
		Action: action,
	}
	return cli.Main(ctx, app, args, stdin, stdout, stderr)
}

func action(c *ucli.Context) error {
	if c.NArg() == 0 {
		return cli.Usagef("which program?")
	}
	s, err := settings.Of(c)
	if err != nil {
		return err
	}
	log, err := cli.Logger(c)
	if err != nil {
		return err
	}
	self, err := selfOf(c, &s)
	if err != nil {
		return err
	}
	cfg, err := s.Node(self, log)
	if err != nil {
		return err
	}
	cfg.KillAt = c.Uint64("kill-at")
	if n := c.Int("processor"); n >= 0 {
		cfg.Bind = true
		if cfg.Processor, err = daemon.Processor(n); err != nil {
			return err
		}
	}
	m, done, err := s.Meeting()
	if err != nil {
		return err
	}
	defer func() { _ = done() }() // its work is done, or the node's is not
	n := &node{settings: s, cfg: cfg, meeting: m, command: c.Args().Slice(), stdin: c.App.Reader, stdout: c.App.Writer, stderr: c.App.ErrWriter}
	ctx, finish, err := n.input(c)
	if err != nil {
		return err
	}
	defer finish()
	return judged(n.run(ctx), cfg)
}

// selfOf is which node this is, by a flag or a launcher.
func selfOf(c *ucli.Context, s *settings.Settings) (dsm.NodeID, error) {
	self := c.Int("node")
	if !c.IsSet("node") {
		r, ok := rank.Of(os.Getenv)
		if !ok {
			return 0, cli.Usagef("--node: which one, and no launcher says it")
		}
		if self = r.Node; s.Core.Nodes == 0 {
			s.Core.Nodes = r.Nodes
		}
		if !c.IsSet("listen") { // others may be elsewhere
			s.Listen = ":0"
		}
	}
	if err := s.Check(); err != nil {
		return 0, err
	}
	if self < 0 || self >= s.Core.Nodes {
		return 0, cli.Usagef("--node: %d of %d", self, s.Core.Nodes)
	}
	if s.Dir == "" {
		return 0, cli.Usagef("--dir: where are the checkpoints?")
	}
	return dsm.NodeID(self), nil
}

// input opens what the program reads. The context ends with the standard input, if
// that is what it is there for.
func (n *node) input(c *ucli.Context) (ctx context.Context, done func(), err error) {
	ctx, cancel := context.WithCancel(c.Context)
	done = cancel
	if c.Bool("until-eof") {
		stdin := n.stdin
		n.stdin = nil
		go func() {
			_, _ = io.Copy(io.Discard, stdin)
			cancel()
		}()
	}
	if path := c.String("stdin"); path != "" {
		f, err := os.Open(path)
		if err != nil {
			cancel()
			return nil, nil, err
		}
		n.stdin, done = f, func() { cancel(); f.Close() }
	}
	return ctx, done, nil
}

// judged says whether another life would be of use.
func judged(err error, cfg daemon.Config) error {
	var refused *daemon.RefusedError
	if errors.As(err, &refused) || errors.Is(err, errProgram) {
		cfg.Log.Error("ends", "node", cfg.Core.Self, "error", err)
		return useless
	}
	return err
}
