// SPDX-License-Identifier: Apache-2.0

package main

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

	"lazystate/internal/leash"
	"lazystate/tools/dsmd/status"
)

const defaultEvery = 500 * time.Millisecond

// demo is two runs of the same program.
type demo struct {
	nodes, victim, bodies, steps int
	every                        time.Duration
	bin                          string
	out                          io.Writer
}

// result is what one run has shown.
type result struct {
	digest  string
	took    time.Duration
	reports []status.Report // of the nodes, at the end
}

func (d *demo) run(ctx context.Context) error {
	d.say("Barnes-Hut, %d bodies, %d steps, on %d nodes: a process and its daemon each, a checkpoint every %v.\n", d.bodies, d.steps, d.nodes, d.every)
	plain, err := d.once(ctx, 0)
	if err != nil {
		return err
	}
	op := plain.reports[d.victim].Ordinal / 2
	d.say("  the result is %s, after %v and %d operations of node %d\n", short(plain.digest), plain.took.Round(time.Millisecond), 2*op, d.victim)
	d.say("\nThe same, but node %d and its daemon are killed (SIGKILL) at operation %d.\n", d.victim, op)
	killed, err := d.once(ctx, op)
	if err != nil {
		return err
	}
	d.say("  the result is %s, after %v\n\n", short(killed.digest), killed.took.Round(time.Millisecond))
	if killed.reports[d.victim].Incarnation < 2 {
		return fmt.Errorf("node %d was not killed", d.victim)
	}
	if plain.digest != killed.digest {
		return fmt.Errorf("the results differ: %s and %s", plain.digest, killed.digest)
	}
	d.table(plain, killed)
	d.say("\nThe results are the same.\n")
	return nil
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format, args...) }

// short is enough of a digest to compare by eye.
func short(digest string) string { return digest[:min(len(digest), 16)] }

// once runs the program; at an operation, if there is one, the victim is killed.
func (d *demo) once(ctx context.Context, kill uint32) (result, error) {
	dir, err := os.MkdirTemp("", "dsmdemo")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	args, err := d.arguments(ctx, dir, kill)
	if err != nil {
		return result{}, err
	}
	cmd := exec.Command(filepath.Join(d.bin, "dsmrun"), args...)
	var out bytes.Buffer
	cmd.Stdout = &out
	story, w := io.Pipe()
	cmd.Stderr = w
	told := make(chan []string, 1)
	go func() { told <- d.tell(story) }()
	begin := time.Now()
	err = wait(ctx, cmd)
	w.Close()
	if rest := <-told; err != nil {
		return result{}, fmt.Errorf("dsmrun: %w\n%s", err, strings.Join(rest, "\n"))
	}
	r := result{took: time.Since(begin)}
	var said struct{ Digest string }
	if err := json.Unmarshal(out.Bytes(), &said); err != nil {
		return r, fmt.Errorf("dsmapps says %q: %w", out.String(), err)
	}
	r.digest = said.Digest
	r.reports, err = status.Read(dir)
	if err == nil && len(r.reports) != d.nodes {
		err = fmt.Errorf("%d of %d nodes have reported", len(r.reports), d.nodes)
	}
	return r, err
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

// arguments are dsmrun's, with as much memory as the program says it needs.
func (d *demo) arguments(ctx context.Context, dir string, kill uint32) ([]string, error) {
	app := []string{filepath.Join(d.bin, "dsmapps"), "barnes", "--bodies", strconv.Itoa(d.bodies), "--steps", strconv.Itoa(d.steps)}
	out, err := exec.CommandContext(ctx, app[0], append(app[1:], "--needs", strconv.Itoa(d.nodes))...).Output()
	if err != nil {
		return nil, fmt.Errorf("dsmapps: %w", err)
	}
	var need struct{ Bytes, Locks int }
	if err := json.Unmarshal(out, &need); err != nil || need.Bytes == 0 {
		return nil, fmt.Errorf("dsmapps needs %q: %w", out, err)
	}
	args := []string{
		"--nodes", strconv.Itoa(d.nodes), "--region", strconv.Itoa(need.Bytes), "--locks", strconv.Itoa(need.Locks),
		"--every", d.every.String(), "--dir", dir,
	}
	if kill > 0 {
		args = append(args, "--kill", fmt.Sprintf("%d@%d", d.victim, kill))
	}
	return append(append(args, "--"), app...), nil
}

// moments are what a recovery says of itself, and how it is told here.
var moments = []struct{ log, told string }{
	{`msg="is killed, as was asked for"`, "is killed"},
	{`msg="a node was lost and is started again"`, "is started again"},
	{"msg=recovers", "recovers from its last checkpoint"},
	{"msg=lives", "is where it was, and lives"},
}

// tell tells of the moments, and returns all lines.
func (d *demo) tell(from io.Reader) (all []string) {
	begin := time.Now()
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		line := lines.Text()
		all = append(all, line)
		for _, m := range moments {
			if strings.Contains(line, m.log) {
				d.say("  %8v  node %d %s\n", time.Since(begin).Round(time.Millisecond), d.victim, m.told)
			}
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		all = append(all, err.Error())
	}
	return all
}

// table has what both runs cost.
func (d *demo) table(plain, killed result) {
	d.say("  %-6s  %-9s  %10s  %10s  %11s  %12s\n", "node", "run", "operations", "checkpoints", "page misses", "logged bytes")
	for i := range d.nodes {
		for _, r := range []struct {
			name string
			of   status.Report
		}{{"plain", plain.reports[i]}, {"killed", killed.reports[i]}} {
			name := r.name
			if r.of.Incarnation > 1 {
				name += ", life " + strconv.Itoa(int(r.of.Incarnation))
			}
			d.say("  %-6d  %-15s  %4d  %10d  %11d  %12d\n", i, name, r.of.Ordinal, r.of.Counters.Saved, r.of.Counters.Misses, r.of.Counters.LogCreated)
		}
	}
}
