// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lazystate/internal/cprogram"
	"lazystate/tools/dsmrun/job"
)

// operations are about how many each node of three has, with small sizes.
var operations = map[string]int{"sor": 13, "lu": 10, "radix": 8, "cache": 1900, "barnes": 25, "nsquared": 150, "spatial": 70}

// A node of each program is killed at random, with its daemon, and comes back; the
// result is the sequential run's (§4.4). make soak does so two hundred times.
func TestRecovery(t *testing.T) {
	bin := binaries(t)
	runs := 1
	if os.Getenv("LAZYSTATE_SOAK") != "" {
		runs = 200/len(operations) + 1
	}
	rng := rand.New(rand.NewPCG(4, 4))
	for name, most := range operations {
		want := sized(t, name).Sequential()
		for range runs {
			kill := fmt.Sprintf("%d@%d", rng.IntN(3), 1+rng.IntN(most))
			out, _ := killed(t, bin, "50ms", kill, slices.Concat([]string{filepath.Join(bin, "dsmapps"), name}, small[name])...)
			var r report
			if err := json.Unmarshal([]byte(out), &r); err != nil || r.Digest != want {
				t.Errorf("%s, %s: %q, not the result %s: %v", name, kill, out, want, err)
			}
		}
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
	resumed := false
	lines := func(kill string) []string { // in any order, and what is repeated once
		all, again := killed(t, bin, "1ms", kill, "sh", "-c", "exec "+mill+" <"+input)
		resumed = resumed || again
		out := strings.Split(all, "\n")
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

// killed runs a program on three nodes, kills one, if any, and returns the output, and
// whether that node went on from a checkpoint.
func killed(t *testing.T, bin, every, kill string, program ...string) (out string, resumed bool) {
	t.Helper()
	told := false
	j := job.Job{
		Bin: bin, Nodes: 3, Region: 4 << 20, Args: []string{"--every", every}, Program: program,
		Line: func(l string) {
			told = told || strings.Contains(l, "is killed")
			resumed = resumed || strings.Contains(l, "msg=recovers") && !strings.Contains(l, "checkpoint=0 ")
		},
	}
	if kill != "" {
		j.Args = append(j.Args, "--kill", kill)
	}
	r, err := j.Run(t.Context())
	if err != nil || told != (kill != "") {
		t.Errorf("%v, %q: killed %v, %v\n%s", program, kill, told, err, r.Output)
	}
	return string(r.Output), resumed
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
