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
	"lazystate/tools/dsmd/settings"
)

// useless is the exit of a node that would end in the same way again.
const useless = cli.ExitError(4)

func main() { os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := &ucli.App{
		Name: "dsmd", Usage: "one node of a parallel program's shared memory", ArgsUsage: "-- PROGRAM [ARGUMENT]...",
		Flags: append(settings.Flags(),
			&ucli.IntFlag{Name: "node", EnvVars: []string{"DSM_NODE"}, Usage: "which `NODE` this is, from 0 on"},
			&ucli.StringFlag{Name: "key", EnvVars: []string{"DSM_KEY"}, Usage: "`HEX` of 16 bytes, the same at all nodes"},
			&ucli.UintFlag{Name: "kill-at", Usage: "end by SIGKILL at operation `N`, to try a recovery"},
			cli.LogFlag("DSM_LOG_LEVEL"),
		),
		Action: action,
	}
	return cli.Main(ctx, app, args, stdin, stdout, stderr)
}

func action(c *ucli.Context) error {
	s, err := settings.Of(c)
	if err != nil {
		return err
	}
	if c.NArg() == 0 {
		return cli.Usagef("which program?")
	}
	self := c.Int("node")
	if self < 0 || self >= s.Core.Nodes {
		return cli.Usagef("--node: %d of %d", self, s.Core.Nodes)
	}
	if s.Dir == "" {
		return cli.Usagef("--dir: where are the checkpoints?")
	}
	key, err := parseKey(c.String("key"))
	if err != nil {
		return cli.Usagef("--key: %v", err)
	}
	log, err := cli.Logger(c)
	if err != nil {
		return err
	}
	cfg, err := s.Node(dsm.NodeID(self), log)
	if err != nil {
		return err
	}
	cfg.KillAt = uint32(c.Uint("kill-at"))
	n := &node{settings: s, cfg: cfg, key: key, command: c.Args().Slice(), stdin: c.App.Reader, stdout: c.App.Writer, stderr: c.App.ErrWriter}
	err = n.run(c.Context)
	var refused *daemon.RefusedError
	if errors.As(err, &refused) || errors.Is(err, errProgram) {
		log.Error("ends", "node", cfg.Core.Self, "error", err)
		return useless
	}
	return err
}
