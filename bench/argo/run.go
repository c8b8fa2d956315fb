// SPDX-License-Identifier: Apache-2.0

package argo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"

	"lazystate/internal/leash"
)

// Task is one run and what it must say.
type Task struct {
	Env, Args []string // beside those of the command
	Nodes     int
	Figures   []string // names of all, each of which is more than 0
}

// Report is the line of JSON that the program writes.
type Report struct {
	Version string             `json:"version"`
	Nodes   int                `json:"nodes"`
	Figures map[string]float64 `json:"figures"`
}

// patience is how long a command that is told to end may take.
const patience = 10 * time.Second

// Run runs it once, to its end or the context's.
func (p *Peer) Run(ctx context.Context, t Task) (r Report, err error) {
	cmd := exec.CommandContext(ctx, p.words[0], slices.Concat(p.words[1:], t.Args)...)
	cmd.Env = append(os.Environ(), t.Env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // mpirun ends its processes then
	cmd.WaitDelay = patience
	out, said := capped{}, capped{end: true}
	cmd.Stdout, cmd.Stderr = &out, &said
	wait, err := leash.Start(cmd, syscall.SIGTERM)
	if err == nil {
		err = wait()
	}
	if err != nil {
		return r, fmt.Errorf("ArgoDSM by %v: %w\n%s", p, errors.Join(err, ctx.Err()), said.b[max(0, len(said.b)-2000):])
	}
	if r, err = t.parse(out.b); err != nil {
		return r, fmt.Errorf("ArgoDSM by %v: %w", p, err)
	}
	p.version = r.Version
	return r, nil
}

// most is how much of what a command writes is kept. It is longer than any run's.
const most = 64 << 10

// capped keeps the beginning of what is written, or the end.
type capped struct {
	b   []byte
	end bool
}

func (c *capped) Write(b []byte) (int, error) {
	if c.end {
		c.b = append(c.b, b...)
		c.b = c.b[max(0, len(c.b)-most):]
	} else {
		c.b = append(c.b, b[:min(len(b), most-len(c.b))]...)
	}
	return len(b), nil
}

// parse reads what a run has written: one line is the report, and ArgoDSM and MPI write
// others.
func (t Task) parse(out []byte) (r Report, err error) {
	line, err := objectIn(out)
	if err != nil {
		return r, err
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, fmt.Errorf("it says %.200q: %w", line, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return r, fmt.Errorf("it says more than one object: %.200q", line)
	}
	return r, t.check(r)
}

// objectIn finds the one line that is an object.
func objectIn(out []byte) (object []byte, err error) {
	for line := range bytes.Lines(out) {
		if !bytes.HasPrefix(line, []byte("{")) {
			continue
		}
		if object != nil {
			return nil, fmt.Errorf("it says two reports: %.200q, %.200q", object, line)
		}
		object = line
	}
	if object == nil {
		return nil, fmt.Errorf("no line of what it says is a report: %.200q", out)
	}
	return object, nil
}

// check refuses a report that is not of this task.
func (t Task) check(r Report) error {
	odd := func(c rune) bool { return !unicode.IsPrint(c) }
	if r.Version == "" || len(r.Version) > 200 || strings.ContainsFunc(r.Version, odd) {
		return fmt.Errorf("it says of its version %.200q", r.Version)
	}
	if r.Nodes != t.Nodes {
		return fmt.Errorf("it ran on %d nodes, not on %d", r.Nodes, t.Nodes)
	}
	names := slices.Sorted(maps.Keys(r.Figures))
	if want := slices.Sorted(slices.Values(t.Figures)); !slices.Equal(names, want) {
		return fmt.Errorf("it has the figures %.500q, not %q", names, want)
	}
	for name, v := range r.Figures {
		if v <= 0 {
			return fmt.Errorf("its %s is %v", name, v)
		}
	}
	return nil
}
