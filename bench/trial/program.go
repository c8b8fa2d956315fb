// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"lazystate/bench/result"
)

// Options are the flags every bench has.
type Options struct {
	Runs    int
	Timeout time.Duration
	Window  time.Duration // of one measurement, where the bench has one
	Out     string        // folder of the CSV
	Kernel  string        // series of the target's kernel: "6.1" or "6.12"
	Seed    uint64        // of the order of conditions
	Log     io.Writer
	start   time.Time
	expect  bool // say how long it takes, and end
	source  string
	command string
	load    string // before the first measurement
}

// Boot is about what one machine costs a bench on an idle host: image, boot
// under emulation, module, keys, and its end.
const Boot = 10 * time.Second

// Logf says on stderr what the bench does, with the time since its start.
func (o *Options) Logf(format string, args ...any) {
	fmt.Fprintf(o.Log, "%7.1fs  %s\n", time.Since(o.start).Seconds(), fmt.Sprintf(format, args...))
}

// Program is one bench: one table or figure.
type Program struct {
	Name    string
	About   string                         // one line for --help
	Runs    int                            // default of --runs
	Timeout time.Duration                  // default bound of the whole bench
	Window  time.Duration                  // default of --window; 0: it has none
	Flags   func(fs *flag.FlagSet)         // further flags; may be nil
	Takes   func(o *Options) time.Duration // estimate for an idle machine of two cores, by the bench's own constants
	Measure func(ctx context.Context, o *Options) (*result.Figure, error)
}

// Exit runs the program with the process's arguments and ends the process. The
// first interrupt ends the context, so that a VM is taken down; a second one kills.
func (p *Program) Exit() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(p.Run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Run parses args, measures within the bound, writes <out>/<name>.csv and
// prints its path.
func (p *Program) Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := p.parse(args, stderr)
	if err != nil {
		return 2
	}
	if o.expect {
		fmt.Fprintln(stdout, p.Takes(o).Round(time.Second))
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	var fig *result.Figure
	if o.source == "" {
		o.source, err = result.Source(ctx)
	}
	if err == nil {
		fig, err = p.Measure(ctx, o)
	}
	if err == nil {
		err = p.save(fig, o)
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", p.Name, err)
		return 1
	}
	fmt.Fprintf(stdout, "%s/%s.csv\n", o.Out, fig.Name)
	return 0
}

func (p *Program) save(fig *result.Figure, o *Options) error {
	if fig.Name == "" {
		fig.Name = p.Name
	}
	fig.Took = time.Since(o.start)
	fig.Runs, fig.Seed, fig.Date, fig.Source, fig.Command = o.Runs, o.Seed, o.start, o.source, o.command
	fig.Load = o.load + " before, " + result.Load() + " after"
	return fig.Save(o.Out)
}

func (p *Program) parse(args []string, stderr io.Writer) (*Options, error) {
	o := &Options{Log: stderr, start: time.Now(), load: result.Load(), command: "go run ./bench/" + p.Name}
	fs := flag.NewFlagSet(p.Name, flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprintf(stderr, "%s: %s\n", p.Name, p.About)
		fs.PrintDefaults()
	}
	fs.IntVar(&o.Runs, "runs", p.Runs, "runs of each point")
	fs.DurationVar(&o.Timeout, "timeout", p.Timeout, "bound of the whole bench")
	if p.Window > 0 {
		fs.DurationVar(&o.Window, "window", p.Window, "length of one measurement")
	}
	fs.StringVar(&o.Out, "out", "bench/results", "folder of the CSV file")
	fs.StringVar(&o.Kernel, "kernel", "6.1", "series of the target's kernel")
	fs.Uint64Var(&o.Seed, "seed", 1, "seed of the order in which conditions are measured")
	fs.BoolVar(&o.expect, "expect", false, "only say how long it takes on an idle machine")
	fs.StringVar(&o.source, "source", "", "commit this program was built from (default: that of the tree now)")
	if p.Flags != nil {
		p.Flags(fs)
	}
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 || o.Runs < 1 || o.Timeout <= 0 || p.Window > 0 && o.Window <= 0 {
		err := fmt.Errorf("%s: no arguments, at least one run, a positive timeout and window are wanted", p.Name)
		fmt.Fprintln(stderr, err)
		return nil, err
	}
	fs.Visit(func(f *flag.Flag) {
		if !slices.Contains([]string{"out", "source", "timeout"}, f.Name) { // where, and how long at most, change no figure
			o.command += " --" + f.Name + "=" + f.Value.String()
		}
	})
	return o, nil
}
