// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"lazystate/bench/apps/threads"
	"lazystate/tools/dsmrun/job"
)

// told is what a run has shown, and the log of the node that was killed.
type told struct {
	threads.Result
	operations uint64 // of node 0's program
	node       string // that was killed
	checkpoint map[string]time.Time
	began      time.Time
	saved      time.Time // that node's last checkpoint before, or began
	killed     time.Time
	live       time.Time
}

// run runs the program on nodes, one of which is killed if that is asked for.
func (r *rig) run(ctx context.Context, kill string) (t told, err error) {
	t.checkpoint = map[string]time.Time{}
	j := job.Job{Args: []string{"--every", settings.every.String(), "--aligned", "--log-level", "debug"}, Line: t.line}
	if kill != "" {
		j.Args = append(j.Args, "--kill", kill)
	}
	t.began = time.Now()
	result, run, err := r.OnNodes(ctx, j)
	if err != nil {
		return t, err
	}
	t.Result = result
	t.operations = run.Reports[0].Ordinal
	return t, r.Same(t.Result)
}

// line hears the log.
func (t *told) line(l string) {
	at, err := time.Parse(time.RFC3339Nano, field(l, "time="))
	if err != nil {
		return
	}
	node := field(l, "node=")
	switch {
	case strings.Contains(l, `msg="has a checkpoint"`) && t.killed.IsZero():
		t.checkpoint[node] = at
	case strings.Contains(l, `msg="is killed`):
		t.killed, t.node, t.saved = at, node, t.began
		if last, ok := t.checkpoint[node]; ok {
			t.saved = last
		}
	case strings.Contains(l, "msg=lives") && node == t.node:
		t.live = at
	}
}

// field is the word behind a key.
func field(line, key string) string {
	_, rest, ok := strings.Cut(" "+line, " "+key)
	if !ok {
		return ""
	}
	word, _, _ := strings.Cut(rest, " ")
	return word
}

// complete is nil if the node was seen to be killed and to live again.
func (t *told) complete() error {
	if t.killed.IsZero() || t.live.IsZero() {
		return errors.New("it was not killed, or does not live again")
	}
	return nil
}
