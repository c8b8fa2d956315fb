// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"

	"lazystate/internal/cli"
	"lazystate/repair/drill"
)

func main() { os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := &ucli.App{
		Name: "bddrill", Usage: "makes a virtual machine sick and heals it from outside",
		ArgsUsage: "[DRILL...]   forkbomb (both), memhog, hang, or one of: " + strings.Join(names(), " "),
		Flags: []ucli.Flag{
			&ucli.BoolFlag{Name: "demo", Usage: "the drills of make drill, each with repair and once without"},
			&ucli.BoolFlag{Name: "all", Usage: "every drill and every negative control"},
			&ucli.BoolFlag{Name: "only-repair", Usage: "leave out the runs without repair"},
			&ucli.BoolFlag{Name: "only-loss", Usage: "the runs without repair alone"},
			&ucli.Float64Flag{Name: "well", Value: drill.Well, Usage: "how many times as long as before an iteration of a healed machine may take"},
			&ucli.StringFlag{Name: "kernel", Value: "6.1", Usage: "kernel of the target: 6.1 or 6.12"},
			&ucli.IntFlag{Name: "repeat", Value: 1, Usage: "run each drill `N` times"},
			&ucli.StringFlag{Name: "state", Value: "build/drill", Usage: "`FOLDER` for the audit log and the programs"},
			&ucli.StringFlag{Name: "modules", Value: "build/kmod", Usage: "`FOLDER` of the modules, one for each kernel"},
			&ucli.BoolFlag{Name: "json", Usage: "the table as JSON"},
			&ucli.BoolFlag{Name: "verbose", Usage: "the monitor's log too"},
		},
		Action: func(c *ucli.Context) error { return start(c, stdout, stderr) },
	}
	return cli.Main(ctx, app, args, stdin, stdout, stderr)
}

func names() []string {
	var all []string
	for _, d := range drill.All {
		all = append(all, d.Name)
	}
	return all
}

// wanted turns arguments into drills; hang stands apart.
func wanted(c *ucli.Context) (drills []drill.Drill, hang bool, err error) {
	for _, d := range drill.All {
		if c.Bool("all") || c.Bool("demo") && d.Demo {
			drills = append(drills, d)
		}
	}
	for _, name := range c.Args().Slice() {
		switch d := drill.ByName(name); {
		case name == "hang":
			hang = true
		case name == "forkbomb":
			drills = append(drills, *drill.ByName("forkbomb-cpu"), *drill.ByName("forkbomb-io"))
		case d != nil:
			drills = append(drills, *d)
		default:
			return nil, false, cli.Usagef("no drill %q; there are forkbomb memhog hang %s", name, strings.Join(names(), " "))
		}
	}
	if len(drills) == 0 && !hang {
		return nil, false, cli.Usagef("no drill named; --demo runs those of make drill")
	}
	if !slices.Contains([]string{"6.1", "6.12"}, c.String("kernel")) {
		return nil, false, cli.Usagef("kernel %q: want 6.1 or 6.12", c.String("kernel"))
	}
	return drills, hang, nil
}

func start(c *ucli.Context, stdout, stderr io.Writer) error {
	drills, hang, err := wanted(c)
	if err != nil {
		return err
	}
	r := &runner{
		kernel: c.String("kernel"), state: c.String("state"), modules: c.String("modules"), swapMiB: 512, well: c.Float64("well"),
		out: newConsole(stderr), verbose: c.Bool("verbose"),
	}
	if err := r.prepare(c.Context); err != nil {
		return err
	}
	defer r.close()
	var rows []drillRun
	for range max(1, c.Int("repeat")) {
		for i := range drills {
			if !c.Bool("only-loss") {
				rows = append(rows, r.heal(c.Context, &drills[i]))
			}
			if drills[i].Loses && !c.Bool("only-repair") {
				rows = append(rows, r.lose(c.Context, &drills[i]))
			}
			if c.Context.Err() != nil {
				return c.Context.Err()
			}
		}
	}
	if len(rows) > 0 {
		if err := printTable(stdout, rows, c.Bool("json")); err != nil {
			return err
		}
	}
	if bad := slices.IndexFunc(rows, func(r drillRun) bool { return !r.OK }); bad >= 0 {
		return fmt.Errorf("%s: %s", rows[bad].Drill, rows[bad].Why)
	}
	if hang {
		return r.hang(c.Context, stdout)
	}
	return nil
}

// prepare finds or builds what goes into the guests.
func (r *runner) prepare(ctx context.Context) error {
	var err error
	if r.rogue, err = drill.Build(ctx, r.state); err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	r.agent = filepath.Join(filepath.Dir(exe), "bdagent")
	if _, err := os.Stat(r.agent); err != nil {
		return fmt.Errorf("bdagent is not beside bddrill (make build puts it there): %w", err)
	}
	if _, err := os.Stat(r.modules); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s: no modules; make kmod builds them", r.modules)
	}
	return r.openAudit(filepath.Join(r.state, "audit-"+time.Now().Format("20060102-150405")+".jsonl"))
}
