// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"lazystate/bench/argo"
	"lazystate/bench/result"
)

// suite builds and runs the benches from the root of the checkout.
type suite struct {
	out            string
	quick, force   bool
	stdout, stderr io.Writer

	bin     string // folder of the built programs
	source  string // they were built from
	figures []string
	rows    []row
}

func (s *suite) build(ctx context.Context, chosen []bench) (err error) {
	if s.bin, err = os.MkdirTemp("", "lazystate-bench-"); err != nil {
		return err
	}
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return err
	}
	if s.source, err = result.Source(ctx); err != nil {
		return err
	}
	args := []string{"build", "-o", s.bin + "/"}
	for _, b := range chosen {
		args = append(args, "./bench/"+b.folder())
	}
	if err := s.command(ctx, s.stderr, "go", args...); err != nil {
		return fmt.Errorf("build: %w", err)
	}
	return nil
}

func (s *suite) clean() {
	if s.bin != "" {
		os.RemoveAll(s.bin)
	}
}

// command runs one program; at the end of ctx it gets SIGTERM, so that it takes
// its VM down, and SIGKILL a minute later.
func (s *suite) command(ctx context.Context, stdout io.Writer, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = stdout, s.stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	return cmd.Run()
}

func (s *suite) csv(name string) string { return filepath.Join(s.out, name+".csv") }

// have reports whether the figure lies there already, made by the code of this
// tree and by the command that would make it now.
func (s *suite) have(ctx context.Context, b bench) bool {
	if s.force {
		return false
	}
	fig := s.last(b)
	if fig == nil || !result.SameSource(ctx, fig.Source) {
		return false
	}
	s.rows = append(s.rows, row{name: b.name, kept: true})
	s.figures = append(s.figures, s.csv(b.name))
	return true
}

// last is the figure that lies there, if the command was the same, but for peers that
// somebody has built and measured with.
func (s *suite) last(b bench) *result.Figure {
	f, err := os.Open(s.csv(b.name))
	if err != nil {
		return nil
	}
	defer f.Close()
	fig, err := result.Read(f)
	if err != nil || argo.Without(fig.Command) != b.command(s.quick) {
		return nil
	}
	return fig
}

// plan says what is missing and how long it takes, and returns it.
func (s *suite) plan(ctx context.Context, chosen []bench) (missing []bench, err error) {
	w := tabwriter.NewWriter(s.stderr, 0, 8, 2, ' ', 0)
	defer w.Flush()
	total := time.Duration(0)
	for _, b := range chosen {
		if s.have(ctx, b) {
			fmt.Fprintf(w, "%s\t-\tmeasured before from this code\n", b.name)
			continue
		}
		took, why, err := s.expected(ctx, b)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(w, "%s\t%v\t%s\n", b.name, took, why)
		total += took
		missing = append(missing, b)
	}
	fmt.Fprintf(w, "all\t%v\t%d of %d to measure\n", total, len(missing), len(chosen))
	return missing, nil
}

// expected is how long a bench took last time, or what it says itself.
func (s *suite) expected(ctx context.Context, b bench) (took time.Duration, why string, err error) {
	if fig := s.last(b); fig != nil && fig.Took > 0 {
		return fig.Took, "as last time", nil
	}
	var out bytes.Buffer
	if err := s.command(ctx, &out, filepath.Join(s.bin, b.folder()), append(b.arguments(s.quick), "--expect")...); err != nil {
		return 0, "", fmt.Errorf("ask %s how long it takes: %w", b.name, err)
	}
	took, err = time.ParseDuration(strings.TrimSpace(out.String()))
	return took, "estimated for an idle machine", err
}

func (s *suite) measure(ctx context.Context, b bench) bool {
	fmt.Fprintf(s.stderr, "== %s\n", b.name)
	args := append(b.arguments(s.quick), "--out", s.out, "--source", s.source)
	start := time.Now()
	err := s.command(ctx, s.stderr, filepath.Join(s.bin, b.folder()), args...)
	s.rows = append(s.rows, row{name: b.name, took: time.Since(start), err: err})
	if err == nil {
		s.figures = append(s.figures, s.csv(b.name))
	}
	return err == nil
}

// plot draws what was measured; the plotter is a module of its own.
func (s *suite) plot(ctx context.Context) error {
	if len(s.figures) == 0 {
		return nil
	}
	args := []string{"run", "-C", "bench/plot", "."}
	for _, f := range s.figures {
		abs, err := filepath.Abs(f)
		if err != nil {
			return err
		}
		args = append(args, abs)
	}
	if err := s.command(ctx, io.Discard, "go", args...); err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	return nil
}

func (s *suite) table() {
	w := tabwriter.NewWriter(s.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "bench\ttook\tresult")
	for _, r := range s.rows {
		verdict := s.csv(r.name)
		switch {
		case r.kept:
			verdict += ", measured before from this code"
		case r.err != nil:
			verdict = "FAILED: " + r.err.Error()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", r.name, r.took.Round(100*time.Millisecond), verdict)
	}
	w.Flush()
}
