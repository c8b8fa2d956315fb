// SPDX-License-Identifier: Apache-2.0

package job

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lazystate/internal/goprogram"
	"lazystate/internal/leash"
	"lazystate/tools/dsmd/status"
)

// Job is a program and how it is run.
type Job struct {
	Bin     string // folder of dsmrun and dsmd
	Nodes   int
	Region  int // bytes of shared memory; 0: dsmrun's own
	Locks   int // likewise
	Args    []string
	Program []string
	// Line is told each line of what dsmrun and the daemons log; nil: nobody.
	Line func(string)
}

// Result is what a run has shown.
type Result struct {
	Output  []byte
	Took    time.Duration
	Reports []status.Report // of the nodes, at their end
}

// Build makes dsmrun, dsmd and more programs, by their import paths.
func Build(ctx context.Context, dir string, programs ...string) error {
	return goprogram.Build(ctx, dir, append([]string{"lazystate/tools/dsmd", "lazystate/tools/dsmrun"}, programs...)...)
}

// Needs asks a program of bench/apps/dsmapps how much memory and how many locks it
// needs.
func (j *Job) Needs(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, j.Program[0], append(j.Program[1:len(j.Program):len(j.Program)], "--needs", strconv.Itoa(j.Nodes))...).Output()
	if err != nil {
		return fmt.Errorf("what %s needs: %w", filepath.Base(j.Program[0]), err)
	}
	var need struct{ Bytes, Locks int }
	if err := json.Unmarshal(out, &need); err != nil || need.Bytes == 0 {
		return fmt.Errorf("%s needs %q: %w", filepath.Base(j.Program[0]), out, err)
	}
	j.Region, j.Locks = need.Bytes, need.Locks
	return nil
}

// Run runs it, to its end or the context's.
func (j *Job) Run(ctx context.Context) (r Result, err error) {
	dir, err := os.MkdirTemp("", "dsmjob")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cmd := exec.Command(filepath.Join(j.Bin, "dsmrun"), j.arguments(dir)...)
	var out bytes.Buffer
	cmd.Stdout = &out
	log, w := io.Pipe()
	cmd.Stderr = w
	told := make(chan string, 1)
	go func() { told <- j.listen(log) }()
	begin := time.Now()
	err = wait(ctx, cmd)
	r.Took, r.Output = time.Since(begin), out.Bytes()
	w.Close() // it has no error
	if last := <-told; err != nil {
		return r, fmt.Errorf("dsmrun: %w\n%s", err, last)
	}
	r.Reports, err = status.Read(dir)
	if err == nil && len(r.Reports) != j.Nodes {
		err = fmt.Errorf("%d of %d nodes have reported", len(r.Reports), j.Nodes)
	}
	return r, err
}

func (j *Job) arguments(dir string) []string {
	args := []string{"--nodes", strconv.Itoa(j.Nodes), "--dir", dir}
	if j.Region > 0 {
		args = append(args, "--region", strconv.Itoa(j.Region))
	}
	if j.Locks > 0 {
		args = append(args, "--locks", strconv.Itoa(j.Locks))
	}
	return append(append(append(args, j.Args...), "--"), j.Program...)
}

func wait(ctx context.Context, cmd *exec.Cmd) error {
	ended, err := leash.Start(cmd, syscall.SIGTERM)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	defer stop()
	return ended()
}

// mostKept is how many lines of the log an error has.
const mostKept = 40

// listen hears the log to its end, and returns the last lines.
func (j *Job) listen(from io.Reader) string {
	var kept []string
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadString('\n')
		if line = strings.TrimSuffix(line, "\n"); line != "" {
			if kept = append(kept, line); len(kept) > mostKept {
				kept = kept[1:]
			}
			if j.Line != nil {
				j.Line(line)
			}
		}
		if err != nil {
			return strings.Join(kept, "\n")
		}
	}
}
