// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lazystate/bench/soaktest"
	"lazystate/internal/cprogram"
	"lazystate/internal/memtemp"
	"lazystate/tools/dsmrun/job"
	"lazystate/tools/lab"
)

// A node of each program is killed at random, with its daemon, and comes back; the
// result is the sequential run's (§4.4). Checkpoints are as frequent as can be, and logs
// are discarded as soon as they can be (§4.5). make soak does so two hundred times. Who
// does what of Barnes-Hut differs from run to run, and so do the operations of a node.
func TestRecovery(t *testing.T) {
	book := soaktest.New(t, "../../results/soak-dsm.json", lab.Seed(), 0)
	bin := binaries(t)
	memtemp.Use(t)
	runs := lab.Count(1, 200/len(small)+1)
	rng := rand.New(rand.NewPCG(lab.Seed(), 4))
	trimmed := 0
	for _, name := range slices.Sorted(maps.Keys(small)) {
		want := sized(t, name).Sequential()
		argv := slices.Concat([]string{filepath.Join(bin, "dsmapps"), name}, small[name])
		ends := killed(t, bin, aggressive, "", argv...).ends
		for range runs {
			node := rng.IntN(len(ends))
			op := 1 + rng.Uint64N(ends[node])
			kill := fmt.Sprintf("%d@%d", node, op)
			got := killed(t, bin, aggressive, kill, argv...)
			var r report
			if err := json.Unmarshal([]byte(got.out), &r); err != nil || r.Digest != want {
				t.Errorf("%s, %s: %q, not the result %s: %v", name, kill, got.out, want, err)
			}
			if got.told != (op <= got.ends[node]) {
				t.Errorf("%s, %s of %d: killed: %v", name, kill, got.ends[node], got.told)
			}
			t.Logf("%s, %s of %d: killed: %v, from a checkpoint: %v, %d bytes of logs discarded before", name, kill, got.ends[node], got.told, got.resumed, got.discarded)
			book.Runs++
			switch {
			case !got.told:
				book.Add("had ended before", 1)
			case got.resumed:
				book.Add(name+" killed, from a checkpoint", 1)
			default:
				book.Add(name+" killed, from the beginning", 1)
			}
			if got.discarded > 0 {
				trimmed++
			}
		}
	}
	book.Add("logs discarded before", trimmed)
	if trimmed == 0 {
		t.Error("no log was discarded before a node was killed")
	}
}

// A program in C, in the manner of SPLASH-2, survives it as well: it names no private
// state, and is saved whole.
func TestRecoveryC(t *testing.T) {
	bin := binaries(t)
	lib := cprogram.Library{Source: "dsm/c", Archive: "libdsm.a", Macros: "parmacs.m4"}
	defer cprogram.Clean()
	mill := lib.Program(t, "../../../dsm/call/testdata/c/mill.c.in", cprogram.Plain)
	input := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(input, []byte("12 3"), 0o600); err != nil {
		t.Fatal(err)
	}
	memtemp.Use(t)
	resumed := false
	lines := func(kill string) []string { // in any order, and what is repeated once
		got := killed(t, bin, []string{"--every", "1ms"}, kill, "sh", "-c", "exec "+mill+" <"+input)
		if got.told != (kill != "") {
			t.Errorf("%q: killed: %v", kill, got.told)
		}
		resumed = resumed || got.resumed
		out := strings.Split(got.out, "\n")
		slices.Sort(out)
		return slices.Compact(out)
	}
	want := lines("")
	for _, kill := range []string{"0@70", "1@20", "2@40"} {
		if got := lines(kill); !slices.Equal(got, want) {
			t.Errorf("%s: %q, not %q", kill, got, want)
		}
	}
	if !resumed {
		t.Error("each was replayed from its beginning")
	}
}

// aggressive takes checkpoints and discards logs as often as can be, without a wait.
var aggressive = []string{"--every", "1ms", "--collect", "1ms"}

// outcome is what came of a run.
type outcome struct {
	out       string
	ends      []uint64 // by node: the program's last operation
	told      bool     // a node said that it is killed: else it had ended before
	resumed   bool     // it went on from a checkpoint
	discarded int      // bytes of logs that it had discarded by then
}

// line hears the log.
func (o *outcome) line(l string) {
	if n, ok := job.Killed(l); ok {
		o.told, o.discarded = true, n
	}
	o.resumed = o.resumed || strings.Contains(l, "msg=recovers") && !strings.Contains(l, "checkpoint=0 ")
}

// killed runs a program on three nodes, and kills one, if any.
func killed(t *testing.T, bin string, how []string, kill string, program ...string) (o outcome) {
	t.Helper()
	j := job.Job{Bin: bin, Nodes: 3, Region: 4 << 20, Args: slices.Clone(how), Program: program, Line: o.line}
	if kill != "" {
		j.Args = append(j.Args, "--kill", kill)
	}
	r, err := j.Run(t.Context())
	if err != nil {
		t.Fatalf("%v, %q: %v\n%s", program, kill, err, r.Output)
	}
	o.ends, o.out = job.Ends(r.Reports), string(r.Output)
	return o
}

// binaries are built once; their folder goes with the test.
func binaries(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := job.Build(t.Context(), dir, "lazystate/bench/apps/dsmapps"); err != nil {
		t.Fatal(err)
	}
	return dir
}
