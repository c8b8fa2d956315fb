// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
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
	"lazystate/tools/dsmd/rank"
	"lazystate/tools/dsmd/settings"
)

func main() { os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := &ucli.App{
		Name: "dsmrun", Usage: "runs a parallel program whose shared memory survives the loss of a node", ArgsUsage: "-- PROGRAM [ARGUMENT]...",
		Flags: append(settings.Flags(),
			&ucli.StringSliceFlag{Name: "host", Usage: "`HOST` of the next node, by ssh; the first again when all have one"},
			&ucli.StringFlag{Name: "ssh", Value: "ssh -o BatchMode=yes", Usage: "`COMMAND` that is given a host and what to run there"},
			&ucli.StringSliceFlag{Name: "kill", Usage: "`NODE@OP`, or NODE@OP/LIFE: end that node by SIGKILL at an operation, of its first life or another, to try a recovery"},
			&ucli.BoolFlag{Name: "bind", Usage: "keep each node's program, and what it waits for, on a processor of its own"},
			&ucli.IntFlag{Name: "restarts", Value: 10, Usage: "how often a node is started again that makes no checkpoint meanwhile"},
			&ucli.BoolFlag{Name: "label", Usage: "each line of output with its node before it"},
			&ucli.StringFlag{Name: "dsmd", EnvVars: []string{"DSM_DSMD"}, Usage: "dsmd's `PATH`, if it is not beside dsmrun or in PATH"},
			cli.LogFlag("DSM_LOG_LEVEL"),
		),
		Action: action,
	}
	return cli.Main(ctx, app, args, stdin, stdout, stderr)
}

func action(c *ucli.Context) (err error) {
	if c.NArg() == 0 {
		return cli.Usagef("which program?")
	}
	c.App.ErrWriter = shared(c.App.ErrWriter)
	r := &running{most: c.Int("restarts"), label: c.Bool("label"), bind: c.Bool("bind"), command: c.Args().Slice(), stdout: shared(c.App.Writer), stderr: c.App.ErrWriter}
	if r.log, err = cli.Logger(c); err != nil {
		return err
	}
	s, job, err := r.place(c)
	if err != nil {
		return err
	}
	if r.kills, err = parseKills(c.StringSlice("kill"), s.Core.Nodes); err != nil {
		return cli.Usagef("--kill: %v", err)
	}
	if r.dsmd, err = find(c.String("dsmd")); err != nil {
		return err
	}
	dir, remove, err := r.folder(s.Dir, job)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	r.dir = dir
	r.args = append(passed(c), "--nodes", strconv.Itoa(s.Core.Nodes), "--dir", dir)
	if r.stdin, err = copied(c.App.Reader, filepath.Join(dir, fmt.Sprintf("stdin-%d", r.here[0])), r.log); err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	return r.run(c.Context)
}

// place settles which nodes this dsmrun keeps, and where: one if a launcher has
// placed it, else all.
func (r *running) place(c *ucli.Context) (s settings.Settings, job string, err error) {
	if s, err = settings.Of(c); err != nil {
		return s, "", err
	}
	r.hosts = hosts{names: c.StringSlice("host"), ssh: strings.Fields(c.String("ssh"))}
	ranked, ok := rank.Of(os.Getenv)
	if ok = ok && !c.IsSet("nodes"); ok {
		s.Core.Nodes = ranked.Nodes
	}
	if err := s.Check(); err != nil {
		return s, "", err
	}
	switch {
	case ok && len(r.hosts.names) > 0:
		return s, "", cli.Usagef("--host: %s has placed this node already", ranked.By)
	case (ok || len(r.hosts.names) > 0) && s.Dir == "":
		return s, "", cli.Usagef("--dir: where do all hosts find the checkpoints?")
	case len(r.hosts.names) > 0 && len(r.hosts.ssh) == 0:
		return s, "", cli.Usagef("--ssh: which command?")
	case ok:
		r.here, r.hosts.listen = []int{ranked.Node}, !c.IsSet("listen")
		return s, ranked.Job, nil
	}
	for i := range s.Core.Nodes {
		r.here = append(r.here, i)
	}
	r.hosts.listen = len(r.hosts.names) > 0 && !c.IsSet("listen")
	return s, "", nil
}

// passed are the flags that dsmd is to have too.
func passed(c *ucli.Context) (args []string) {
	for _, f := range settings.Flags() {
		name := f.Names()[0]
		switch {
		case name == "dir" || name == "nodes" || !c.IsSet(name):
		case name == "copy" || name == "etcd":
			for _, v := range c.StringSlice(name) {
				args = append(args, "--"+name+"="+v)
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
// for them to stay. A run of its own finds no other's there.
func (r *running) folder(dir, job string) (string, func() error, error) {
	if dir == "" {
		dir, err := os.MkdirTemp("", "dsmrun")
		return dir, func() error { return os.RemoveAll(dir) }, err
	}
	dir, err := filepath.Abs(filepath.Join(dir, job))
	if err != nil {
		return "", nil, err
	}
	if old, _ := filepath.Glob(filepath.Join(dir, "node-*")); len(old) > 0 && len(r.here) > 1 {
		return "", nil, cli.Usagef("--dir: %s has the checkpoints of another run", dir)
	}
	return dir, func() error { return nil }, os.MkdirAll(dir, 0o700)
}
