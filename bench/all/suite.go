// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"text/tabwriter"
	"time"

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

func (s *suite) build(ctx context.Context, names []string) (err error) {
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
	for _, n := range names {
		args = append(args, "./bench/"+n)
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
func (s *suite) have(ctx context.Context, name string) bool {
	if s.force {
		return false
	}
	f, err := os.Open(s.csv(name))
	if err != nil {
		return false
	}
	defer f.Close()
	fig, err := result.Read(f)
	command := "go run ./bench/" + name
	if s.quick {
		command += " --runs=1"
	}
	if err != nil || fig.Command != command || !result.SameSource(ctx, fig.Source) {
		return false
	}
	s.rows = append(s.rows, row{name: name, kept: true})
	s.figures = append(s.figures, s.csv(name))
	return true
}

func (s *suite) measure(ctx context.Context, name string) bool {
	fmt.Fprintf(s.stderr, "== %s\n", name)
	args := []string{"--out", s.out, "--source", s.source}
	if s.quick {
		args = append(args, "--runs", "1")
	}
	start := time.Now()
	err := s.command(ctx, s.stderr, filepath.Join(s.bin, name), args...)
	s.rows = append(s.rows, row{name: name, took: time.Since(start), err: err})
	if err == nil {
		s.figures = append(s.figures, s.csv(name))
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
