// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	ucli "github.com/urfave/cli/v2"

	"lazystate/internal/cli"
	"lazystate/tools/dsmd/settings"
)

func main() { os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := &ucli.App{
		Name: "dsmrun", Usage: "runs a parallel program whose shared memory survives the loss of a node", ArgsUsage: "-- PROGRAM [ARGUMENT]...",
		Flags: append(settings.Flags(),
			&ucli.StringSliceFlag{Name: "kill", Usage: "`NODE@OP`: end that node by SIGKILL at an operation, to try a recovery"},
			&ucli.IntFlag{Name: "restarts", Value: 10, Usage: "how often a node is started again"},
			&ucli.BoolFlag{Name: "label", Usage: "each line of output with its node before it"},
			&ucli.StringFlag{Name: "dsmd", EnvVars: []string{"DSM_DSMD"}, Usage: "dsmd's `PATH`, if it is not beside dsmrun or in PATH"},
			cli.LogFlag("DSM_LOG_LEVEL"),
		),
		Action: action,
	}
	return cli.Main(ctx, app, args, stdin, stdout, stderr)
}

func action(c *ucli.Context) (err error) {
	s, err := settings.Of(c)
	if err != nil {
		return err
	}
	if c.NArg() == 0 {
		return cli.Usagef("which program?")
	}
	kills, err := parseKills(c.StringSlice("kill"), s.Core.Nodes)
	if err != nil {
		return cli.Usagef("--kill: %v", err)
	}
	c.App.ErrWriter = shared(c.App.ErrWriter)
	log, err := cli.Logger(c)
	if err != nil {
		return err
	}
	dsmd, err := find(c.String("dsmd"))
	if err != nil {
		return err
	}
	dir, remove, err := folder(s.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	in, err := copied(c.App.Reader, dir)
	if err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	var key [16]byte
	rand.Read(key[:]) // never fails
	r := &running{
		nodes: s.Core.Nodes, dsmd: dsmd, args: append(passed(c), "--dir", dir), command: c.Args().Slice(),
		env:  append(os.Environ(), "DSM_KEY="+hex.EncodeToString(key[:])),
		most: c.Int("restarts"), kills: kills, label: c.Bool("label"), log: log,
		input: in, stdout: shared(c.App.Writer), stderr: c.App.ErrWriter,
	}
	return r.run(c.Context)
}

// passed are the flags that dsmd is to have too.
func passed(c *ucli.Context) (args []string) {
	for _, f := range settings.Flags() {
		name := f.Names()[0]
		switch {
		case name == "dir" || !c.IsSet(name):
		case name == "copy":
			for _, v := range c.StringSlice(name) {
				args = append(args, "--copy="+v)
			}
		default:
			args = append(args, fmt.Sprintf("--%s=%v", name, c.Value(name)))
		}
	}
	return append(args, "--log-level="+c.String("log-level"))
}

// find is where dsmd lies.
func find(path string) (string, error) {
	if path != "" {
		return path, nil
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "dsmd")
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	return exec.LookPath("dsmd")
}

// folder is where checkpoints go: a new one that goes with the run if nobody asks
// for them to stay.
func folder(dir string) (string, func() error, error) {
	if dir != "" {
		return dir, func() error { return nil }, nil
	}
	dir, err := os.MkdirTemp("", "dsmrun")
	return dir, func() error { return os.RemoveAll(dir) }, err
}

// parseKills reads NODE@OP.
func parseKills(list []string, nodes int) (map[int]uint32, error) {
	kills := map[int]uint32{}
	for _, s := range list {
		node, op, ok := strings.Cut(s, "@")
		i, err := strconv.Atoi(node)
		n, err2 := strconv.ParseUint(op, 10, 32)
		if !ok || err != nil || err2 != nil || i < 0 || i >= nodes || n == 0 {
			return nil, fmt.Errorf("%q is no NODE@OP with one of %d nodes", s, nodes)
		}
		if _, twice := kills[i]; twice {
			return nil, fmt.Errorf("node %d is killed twice", i)
		}
		kills[i] = uint32(n)
	}
	return kills, nil
}
