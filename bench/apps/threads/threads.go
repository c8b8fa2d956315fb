// SPDX-License-Identifier: Apache-2.0

package threads

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"lazystate/bench/apps/dsmapps/program"
)

//go:embed c/sor.c
var source string

// SOR is the program's path.
type SOR string

// Build compiles it into a folder.
func Build(ctx context.Context, dir string) (SOR, error) {
	path := filepath.Join(dir, "sor")
	cc := exec.CommandContext(ctx, "cc", "-O2", "-ffp-contract=off", "-pthread", "-Wall", "-Wextra", "-Werror", "-x", "c", "-o", path, "-")
	cc.Stdin = strings.NewReader(source)
	if out, err := cc.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build sor.c: %w: %s", err, out)
	}
	return SOR(path), nil
}

// Sizes are those of sor.SOR, and how many threads.
type Sizes struct{ Size, Iterations, Threads int }

// Result is what a run has taken and computed.
type Result struct {
	Seconds float64
	Digest  program.Digest
}

// Command runs it; Parse reads what it writes.
func (s SOR) Command(z Sizes) *exec.Cmd {
	return exec.Command(string(s), strconv.Itoa(z.Size), strconv.Itoa(z.Iterations), strconv.Itoa(z.Threads))
}

// Run runs it to its end.
func (s SOR) Run(ctx context.Context, z Sizes) (Result, error) {
	cmd := s.Command(z)
	out, err := exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...).Output()
	if err != nil {
		return Result{}, fmt.Errorf("sor.c: %w", err)
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
		return r, fmt.Errorf("sor.c says %q: %w", line, err)
	}
	h := program.NewHash()
	if _, err := io.Copy(h, in); err != nil {
		return r, err
	}
	r.Digest = h.Digest()
	return r, nil
}
