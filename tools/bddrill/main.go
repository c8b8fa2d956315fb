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
		ArgsUsage: "[DRILL...]   forkbomb (both), memhog, hang (all its causes), or one of: " + strings.Join(names(), " "),
		Flags: []ucli.Flag{
			&ucli.BoolFlag{Name: "demo", Usage: "the drills of make drill, each with repair and once without"},
			&ucli.BoolFlag{Name: "all", Usage: "every drill and every negative control"},
			&ucli.BoolFlag{Name: "only-repair", Usage: "leave out the runs without repair"},
			&ucli.BoolFlag{Name: "only-loss", Usage: "the runs without repair alone"},
			&ucli.Float64Flag{Name: "well", Value: drill.Well, Usage: "how many times as long as before an iteration of a healed machine may take"},
			&ucli.StringFlag{Name: "kernel", Value: "6.1", Usage: "kernel of the target: 6.1 or 6.12"},
			&ucli.StringFlag{Name: "carrier", Value: string(inic), EnvVars: []string{"CARRIER"}, Usage: "from the monitor to the target: " + carrierNames()},
			&ucli.BoolFlag{Name: "debian-cmdline", Usage: "boot with Debian's default kernel command line"},
			&ucli.DurationFlag{Name: "quiet", Value: 30 * time.Second, Usage: "how long a negative control is left alone"},
			&ucli.DurationFlag{Name: "idle", Value: time.Hour, Usage: "how long the control idle is left alone"},
			&ucli.DurationFlag{Name: "before", Value: 12 * time.Second, Usage: "how long the useful program runs alone first, and four iterations at least"},
			&ucli.DurationFlag{Name: "after", Value: 30 * time.Second, Usage: "how long a healed machine must be well"},
			&ucli.Uint64Flag{Name: "seed", Usage: "order and sizes of the drills; 0: as they are listed"},
			&ucli.StringFlag{Name: "record", Usage: "JSON `FILE` of all runs, with the seed and the machine, written after each run"},
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
	for _, h := range hangs {
		all = append(all, h.name)
	}
	return all
}

// wanted turns arguments into drills and hangs.
func wanted(c *ucli.Context) (drills []drill.Drill, hangs []*hangKind, err error) {
	for _, d := range drill.All {
		if c.Bool("all") || c.Bool("demo") && d.Demo {
			drills = append(drills, d)
		}
	}
	for _, name := range c.Args().Slice() {
		switch d, h := drill.ByName(name), hangsNamed(name); {
		case h != nil:
			hangs = append(hangs, h...)
		case name == "forkbomb":
			drills = append(drills, *drill.ByName("forkbomb-cpu"), *drill.ByName("forkbomb-io"))
		case d != nil:
			drills = append(drills, *d)
		default:
			return nil, nil, cli.Usagef("no drill %q; there are forkbomb hang %s", name, strings.Join(names(), " "))
		}
	}
	if len(drills) == 0 && len(hangs) == 0 {
		return nil, nil, cli.Usagef("no drill named; --demo runs those of make drill")
	}
	if !slices.Contains([]string{"6.1", "6.12"}, c.String("kernel")) {
		return nil, nil, cli.Usagef("kernel %q: want 6.1 or 6.12", c.String("kernel"))
	}
	switch how := carrier(c.String("carrier")); {
	case !slices.Contains(carriers, how):
		return nil, nil, cli.Usagef("carrier %q: want %s", how, carrierNames())
	case len(hangs) > 0 && !how.diagnosable():
		return nil, nil, cli.Usagef("hang asks who answers without the target's kernel: --carrier %s, %s or %s", inic, bdnic, bdnicRXE)
	}
	return drills, hangs, nil
}

func start(c *ucli.Context, stdout, stderr io.Writer) error {
	drills, hangs, err := wanted(c)
	if err != nil {
		return err
	}
	r := &runner{
		kernel: c.String("kernel"), carrier: carrier(c.String("carrier")), debian: c.Bool("debian-cmdline"), state: c.String("state"), modules: c.String("modules"), swapMiB: 512, well: c.Float64("well"),
		before: c.Duration("before"), after: c.Duration("after"), quiet: c.Duration("quiet"), idle: c.Duration("idle"), out: newConsole(stderr), verbose: c.Bool("verbose"),
	}
	if err := r.prepare(c.Context); err != nil {
		return err
	}
	rows, err := r.series(c, drill.Seeded(drills, c.Uint64("seed")))
	if err := r.told(stdout, rows, c.Bool("json"), err); err != nil {
		return err
	}
	if len(hangs) > 0 {
		return r.hang(c.Context, stdout, hangs)
	}
	return nil
}

// series runs the drills one after the other, each on machines of its own.
func (r *runner) series(c *ucli.Context, drills []drill.Drill) (rows []drillRun, err error) {
	book := newSoak(c.Context, c.String("record"), c.Uint64("seed"))
	add := func(row drillRun) {
		rows = append(rows, row)
		err = errors.Join(err, book.add(row))
	}
	for range max(1, c.Int("repeat")) {
		for i := range drills {
			if !c.Bool("only-loss") {
				add(r.heal(c.Context, &drills[i]))
			}
			if drills[i].Loses && !c.Bool("only-repair") {
				add(r.lose(c.Context, &drills[i]))
			}
			if err = errors.Join(err, c.Context.Err()); err != nil {
				return rows, err
			}
		}
	}
	return rows, nil
}

// told shows what has been run, also where ^C cut the rest short: that is what goes
// on to the caller then.
func (r *runner) told(w io.Writer, rows []drillRun, asJSON bool, cut error) error {
	shown := r.show(w, rows, asJSON)
	if cut != nil {
		return cut
	}
	return shown
}

// show prints the table with what its words mean; a drill that went wrong is
// an error.
func (r *runner) show(w io.Writer, rows []drillRun, asJSON bool) error {
	if len(rows) == 0 {
		return nil
	}
	if err := printTable(w, rows, asJSON); err != nil {
		return err
	}
	if !asJSON {
		fmt.Fprintf(w, "times count from the crossing of L; before and after are medians of the useful program's iterations, without\n"+
			"what the host made the vCPUs wait for a CPU (raw: with it); during is the longest as it was;\n"+
			"healed: that of some %v within 3 minutes is at most %.4g times that of before, the sensors are below L, no culprit is left\n", r.after, r.well)
	}
	if bad := slices.IndexFunc(rows, func(r drillRun) bool { return !r.OK }); bad >= 0 {
		return fmt.Errorf("%s: %s", rows[bad].Drill, rows[bad].Why)
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
	for name, path := range map[string]*string{"bdagent": &r.agent, "bdmon": &r.monitor, "bdcanary": &r.canary, "bdnic": &r.nic, "bdpipe": &r.pipe} {
		*path = filepath.Join(filepath.Dir(exe), name)
		if _, err := os.Stat(*path); err != nil {
			return fmt.Errorf("%s is not beside bddrill (make build puts it there): %w", name, err)
		}
	}
	if _, err := os.Stat(r.modules); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s: no modules; make kmod builds them", r.modules)
	}
	if r.state, err = filepath.Abs(r.state); err != nil {
		return err
	}
	r.auditPath = filepath.Join(r.state, "audit-"+time.Now().Format("20060102-150405")+".jsonl")
	return nil
}
