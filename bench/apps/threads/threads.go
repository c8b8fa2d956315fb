// SPDX-License-Identifier: Apache-2.0

package threads

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"lazystate/bench/apps/dsmapps/program"
)

//go:embed c
var sources embed.FS

// Program is one's path.
type Program string

// Build compiles one into a folder.
func Build(ctx context.Context, dir, name string) (Program, error) {
	if err := os.CopyFS(dir, sources); err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	cc := exec.CommandContext(ctx, "cc", "-O2", "-ffp-contract=off", "-pthread", "-Wall", "-Wextra", "-Werror", "-o", path, filepath.Join(dir, "c", name+".c"))
	if out, err := cc.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s.c: %w: %s", name, err, out)
	}
	return Program(path), nil
}

// Result is what a run has taken and computed.
type Result struct {
	Seconds float64
	Digest  program.Digest
}

// Command runs it; Parse reads what it writes.
func (p Program) Command(w *Work, threads int) *exec.Cmd {
	return exec.Command(string(p), append(w.Args(), strconv.Itoa(threads))...)
}

// Run runs it to its end.
func (p Program) Run(ctx context.Context, w *Work, threads int) (Result, error) {
	cmd := p.Command(w, threads)
	out, err := exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...).Output()
	if err != nil {
		return Result{}, fmt.Errorf("%s.c: %w", w.Name, err)
	}
	return Parse(bytes.NewReader(out))
}

// Parse reads its output.
func Parse(out io.Reader) (r Result, err error) {
	in := bufio.NewReader(out)
	line, err := in.ReadString('\n')
	if err == nil {
		r.Seconds, err = strconv.ParseFloat(strings.TrimSpace(line), 64)
	}
	if err != nil {
		return r, fmt.Errorf("a program in C says %q: %w", line, err)
	}
	h := program.NewHash()
	if _, err := io.Copy(h, in); err != nil {
		return r, err
	}
	r.Digest = h.Digest()
	return r, nil
}
