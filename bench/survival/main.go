// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"lazystate/bench/guest"
	"lazystate/bench/result"
	"lazystate/tools/lab/kernel"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	s := &series{log: stderr, start: time.Now()}
	fs := flag.NewFlagSet("survival", flag.ContinueOnError)
	fs.SetOutput(stderr)
	names := fs.String("rows", "", "rows, separated by commas (default: "+strings.Join(rowNames(), ",")+")")
	kernels := fs.String("kernels", "6.1,6.12", "series of the target's kernel")
	fs.IntVar(&s.runs, "runs", 5, "runs of each row on each kernel")
	fs.Uint64Var(&s.seed, "seed", 1, "of the carriers' order and of the link's losses")
	fs.StringVar(&s.out, "out", "bench/results", "folder of the record, the table and the figure")
	quick := fs.Bool("quick", false, "one run of each row")
	table := fs.Bool("table", false, "measure nothing: table and figure from the record")
	if err := fs.Parse(args); err != nil || fs.NArg() > 0 {
		return 2
	}
	if *quick {
		s.runs = 1
	}
	s.kernels = strings.Split(*kernels, ",")
	if err := s.choose(*names); err != nil {
		fmt.Fprintf(stderr, "survival: %v\n", err)
		return 2
	}
	err := s.open()
	if err == nil && !*table {
		err = s.all(ctx)
	}
	if err == nil {
		err = s.show(stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "survival: %v\n", err)
		return 1
	}
	return 0
}

func rowNames() []string {
	var all []string
	for _, r := range rows {
		all = append(all, r.name)
	}
	return all
}

// series is all that is to be measured.
type series struct {
	kernels []string
	rows    []*row
	runs    int
	seed    uint64
	out     string
	log     io.Writer
	start   time.Time

	record  *record
	source  string
	machine string
	files   map[string]string // of the targets
	nic     string
}

func (s *series) choose(names string) error {
	for i := range rows {
		if names == "" || slices.Contains(strings.Split(names, ","), rows[i].name) {
			s.rows = append(s.rows, &rows[i])
		}
	}
	for _, k := range s.kernels {
		if !slices.Contains(kernel.Series(), k) {
			return fmt.Errorf("kernel %q: the lab has %v", k, kernel.Series())
		}
	}
	if s.runs < 1 {
		return fmt.Errorf("%d runs", s.runs)
	}
	for _, n := range strings.Split(names, ",") {
		if n != "" && rowNamed(n) == nil {
			return fmt.Errorf("no row %q; there are %s", n, strings.Join(rowNames(), " "))
		}
	}
	return nil
}

func (s *series) open() (err error) {
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return err
	}
	s.record, err = openRecord(filepath.Join(s.out, "survival-runs.csv"))
	return err
}

func (s *series) logf(format string, args ...any) {
	fmt.Fprintf(s.log, "%7.1fs  %s\n", time.Since(s.start).Seconds(), fmt.Sprintf(format, args...))
}

// all makes what is missing, the first run of everything before the second.
func (s *series) all(ctx context.Context) error {
	var err error
	if s.source, err = result.Source(ctx); err != nil {
		return err
	}
	host := result.Host()
	host.VM()
	s.machine = fmt.Sprintf("%s, %d cores, Linux %s, %s", host.CPU, host.Cores, host.Kernel, host.QEMU)
	files, done, err := guest.Arsenal(ctx, "bench/apps/login", "tools/bddrill/bdcanary")
	if err != nil {
		return err
	}
	defer done()
	s.files = files
	s.files["/bin/login-service"] = s.files["/bin/login"]
	delete(s.files, "/bin/login")
	if s.nic, err = guest.NIC(ctx); err != nil {
		return err
	}
	for run := 1; run <= s.runs; run++ {
		for _, r := range s.rows {
			for _, kernel := range s.kernels {
				if s.record.has(kernel, r.name, run) {
					continue
				}
				if err := s.once(ctx, kernel, r, run); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// once makes one run; a target that could not be prepared gets another boot.
func (s *series) once(ctx context.Context, kernel string, r *row, run int) error {
	for try := 1; ; try++ {
		began := time.Now()
		lines, err := s.measure(ctx, kernel, r, run)
		if err != nil && (try == 3 || ctx.Err() != nil) {
			return fmt.Errorf("%s on %s, run %d: %w", r.name, kernel, run, err)
		}
		if err != nil {
			s.logf("%s on %s, run %d: once more: %v", r.name, kernel, run, err)
			continue
		}
		s.logf("%s on %s, run %d, %v: %s", r.name, kernel, run, time.Since(began).Round(time.Second), brief(lines))
		return s.record.add(lines)
	}
}

// brief is a run in one line.
func brief(lines []line) string {
	var all []string
	for _, l := range lines {
		s := l.Column + " " + l.Read
		if l.Locked != unasked {
			s += "/" + l.Locked + "/" + l.Repair
		}
		if l.Detect > 0 {
			s += fmt.Sprintf(" %s %v", l.Kind, l.Detect.Round(time.Millisecond))
		}
		if l.False > 0 {
			s += fmt.Sprintf(" FALSE %d", l.False)
		}
		all = append(all, s)
	}
	return strings.Join(all, ", ")
}
