// SPDX-License-Identifier: Apache-2.0

package job

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// A program runs on two nodes; its output, its log and its counts come back. One
// that fails says why.
func TestJob(t *testing.T) {
	bin, ctx := t.TempDir(), t.Context()
	if err := Build(ctx, bin, "lazystate/bench/apps/dsmapps"); err != nil {
		t.Fatal(err)
	}
	var lines []string
	j := Job{
		Bin: bin, Nodes: 2, Args: []string{"--kill", "1@3"}, Line: func(l string) { lines = append(lines, l) },
		Program: []string{filepath.Join(bin, "dsmapps"), "sor", "--check"},
	}
	if err := j.Needs(ctx); err != nil || j.Region == 0 {
		t.Fatalf("%+v, %v", j, err)
	}
	r, err := j.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var said struct{ Program, Digest string }
	if err := json.Unmarshal(r.Output, &said); err != nil || said.Program != "sor" || said.Digest == "" {
		t.Errorf("%q, %v", r.Output, err)
	}
	if !strings.Contains(strings.Join(lines, "\n"), "is killed") || r.Took <= 0 {
		t.Errorf("%v, %q", r.Took, lines)
	}
	for i, n := range r.Reports {
		if int(n.Node) != i || int(n.Incarnation) != i+1 || n.Ordinal == 0 || n.Counters.Misses == 0 {
			t.Errorf("%+v", n)
		}
	}
	j.Args, j.Program = nil, []string{"/bin/false"}
	if r, err := j.Run(ctx); err == nil || !strings.Contains(err.Error(), "exit status") {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestCannot(t *testing.T) {
	ctx := context.Background()
	for _, p := range []string{"/nonexistent/program", "/bin/true", "/bin/false"} {
		if err := (&Job{Nodes: 2, Program: []string{p}}).Needs(ctx); err == nil {
			t.Errorf("%s needs something", p)
		}
	}
	if _, err := (&Job{Bin: t.TempDir(), Nodes: 2, Program: []string{"/bin/true"}}).Run(ctx); err == nil {
		t.Error("it runs without dsmrun")
	}
}
