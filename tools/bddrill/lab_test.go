// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lazystate/repair/drill"
	"lazystate/tools/lab"
)

func drillNamed(t *testing.T, name string) *drill.Drill {
	t.Helper()
	d := drill.ByName(name)
	if d == nil {
		t.Fatalf("no drill %s", name)
	}
	return d
}

// built compiles bddrill and bdagent side by side, as make does.
func built(t *testing.T) (bddrill string) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", dir+"/", ".", "../bdagent")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return filepath.Join(dir, "bddrill")
}

// TestForkBombOnRealKernels heals the CPU-bound fork bomb on both kernels.
func TestForkBombOnRealKernels(t *testing.T) {
	lab.Need(t)
	path := built(t)
	for _, kernel := range []string{"6.1", "6.12"} {
		t.Run(kernel, func(t *testing.T) {
			state := t.TempDir()
			cmd := exec.CommandContext(t.Context(), path, "--kernel", kernel, "--only-repair", "--json",
				"--well", "4", // other tests run beside us: their load is no illness
				"--state", state, "forkbomb-cpu")
			cmd.Dir = filepath.Join("..", "..") // where make kmod put the modules
			cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
			var errs strings.Builder
			cmd.Stderr = &errs
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, errs.String())
			}
			var rows []drillRun
			if err := json.Unmarshal(out, &rows); err != nil || len(rows) != 1 {
				t.Fatalf("%v: %s", err, out)
			}
			r := rows[0]
			if !r.OK || r.Killed < 100 || len(r.Harmed) > 0 || r.Bystanders == 0 {
				t.Errorf("%+v", r)
			}
			if logs, _ := filepath.Glob(filepath.Join(state, "audit-*.jsonl")); len(logs) != 1 {
				t.Errorf("audit logs %v", logs)
			}
		})
	}
}
