// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"lazystate/tools/dsmd/status"
	"lazystate/tools/dsmrun/job"
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
	digest string
	job.Result
}

func (d *demo) run(ctx context.Context) error {
	d.say("Barnes-Hut, %d bodies, %d steps, on %d nodes: a process and its daemon each, a checkpoint every %v.\n", d.bodies, d.steps, d.nodes, d.every)
	plain, err := d.once(ctx, 0)
	if err != nil {
		return err
	}
	op := plain.Reports[d.victim].Ordinal / 2
	d.say("  the result is %s, after %v and %d operations of node %d\n", short(plain.digest), plain.Took.Round(time.Millisecond), 2*op, d.victim)
	d.say("\nThe same, but node %d and its daemon are killed (SIGKILL) at operation %d.\n", d.victim, op)
	killed, err := d.once(ctx, op)
	if err != nil {
		return err
	}
	d.say("  the result is %s, after %v\n\n", short(killed.digest), killed.Took.Round(time.Millisecond))
	if killed.Reports[d.victim].Incarnation < 2 {
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
func (d *demo) once(ctx context.Context, kill uint64) (result, error) {
	begin := time.Now()
	j := job.Job{
		Bin: d.bin, Nodes: d.nodes, Args: []string{"--every", d.every.String()}, Line: func(line string) { d.tell(time.Since(begin), line) },
		Program: []string{filepath.Join(d.bin, "dsmapps"), "barnes", "--bodies", strconv.Itoa(d.bodies), "--steps", strconv.Itoa(d.steps)},
	}
	if kill > 0 {
		j.Args = append(j.Args, "--kill", fmt.Sprintf("%d@%d", d.victim, kill))
	}
	if err := j.Needs(ctx); err != nil {
		return result{}, err
	}
	r, err := j.Run(ctx)
	if err != nil {
		return result{}, err
	}
	var said struct{ Digest string }
	if err := json.Unmarshal(r.Output, &said); err != nil {
		return result{}, fmt.Errorf("dsmapps says %q: %w", r.Output, err)
	}
	return result{said.Digest, r}, nil
}

// moments are what a recovery says of itself, and how it is told here.
var moments = []struct{ log, told string }{
	{`msg="is killed, as was asked for"`, "is killed"},
	{`msg="a node was lost and is started again"`, "is started again"},
	{"msg=recovers", "recovers from its last checkpoint"},
	{"msg=lives", "is where it was, and lives"},
}

// tell tells of the moments.
func (d *demo) tell(at time.Duration, line string) {
	for _, m := range moments {
		if strings.Contains(line, m.log) {
			d.say("  %8v  node %d %s\n", at.Round(time.Millisecond), d.victim, m.told)
		}
	}
}

// table has what both runs cost.
func (d *demo) table(plain, killed result) {
	d.say("  %-6s  %-9s  %10s  %10s  %11s  %12s\n", "node", "run", "operations", "checkpoints", "page misses", "logged bytes")
	for i := range d.nodes {
		for _, r := range []struct {
			name string
			of   status.Report
		}{{"plain", plain.Reports[i]}, {"killed", killed.Reports[i]}} {
			name := r.name
			if r.of.Incarnation > 1 {
				name += ", life " + strconv.Itoa(int(r.of.Incarnation))
			}
			d.say("  %-6d  %-15s  %4d  %10d  %11d  %12d\n", i, name, r.of.Ordinal, r.of.Counters.Saved, r.of.Counters.Misses, r.of.Counters.LogCreated)
		}
	}
}
