// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"lazystate/internal/goprogram"
	"lazystate/repair/drill"
	"lazystate/tools/lab"
)

// bddrill is the command as it was built, and the state of its last run.
type bddrill struct{ path, state string }

func drillNamed(t *testing.T, name string) *drill.Drill {
	t.Helper()
	d := drill.ByName(name)
	if d == nil {
		t.Fatalf("no drill %s", name)
	}
	return d
}

// programs is the folder of what build makes, for the life of the tests.
var programs string

func TestMain(m *testing.M) {
	code := m.Run()
	os.RemoveAll(programs)
	os.Exit(code)
}

// build compiles bddrill and what it starts side by side, as make does.
var build = sync.OnceValue(func() (err error) {
	if programs, err = os.MkdirTemp("", "bddrill-test-"); err != nil {
		return err
	}
	const tools = "lazystate/tools/"
	return goprogram.Build(context.Background(), programs, tools+"bddrill", tools+"bddrill/bdcanary", tools+"bddrill/bdpipe",
		tools+"bdagent", tools+"bdmon", tools+"bdnic")
})

func built(t *testing.T) *bddrill {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	return &bddrill{path: filepath.Join(programs, "bddrill")}
}

// run runs bddrill from where make kmod put the modules.
func (d *bddrill) run(t *testing.T, args ...string) (stdout []byte, code int) {
	t.Helper()
	d.state = t.TempDir()
	cmd := exec.CommandContext(t.Context(), d.path, append([]string{"--state", d.state}, args...)...)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	t.Log(errs.String())
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out, cmd.ProcessState.ExitCode()
}

// rows runs drills that must end well. The useful program is watched for less
// than make drill and make soak want. Other tests run beside this one: their load
// is no illness.
func (d *bddrill) rows(t *testing.T, args ...string) []drillRun {
	t.Helper()
	out, code := d.run(t, append([]string{"--only-repair", "--json", "--well", "4", "--before", "4s", "--after", "6s"}, args...)...)
	var rows []drillRun
	if err := json.Unmarshal(out, &rows); err != nil || code != 0 {
		t.Fatalf("exit %d, %v: %s", code, err, out)
	}
	for i := range rows {
		if r := &rows[i]; !r.OK || r.Carrier != inic || len(r.Harmed) > 0 || r.Bystanders == 0 || r.Expect == "healed" != (r.Killed > 0) {
			t.Errorf("%+v", r)
		}
	}
	return rows
}

// TestForkBombOnRealKernels heals the CPU-bound fork bomb on both kernels, with
// what Debian's own command line leaves on: mitigations, watchdogs, a console.
func TestForkBombOnRealKernels(t *testing.T) {
	lab.Need(t)
	d := built(t)
	for _, kernel := range []string{"6.1", "6.12"} {
		t.Run(kernel, func(t *testing.T) {
			rows := d.rows(t, "--kernel", kernel, "--debian-cmdline", "forkbomb-cpu")
			if len(rows) != 1 || rows[0].Killed < 100 {
				t.Errorf("%+v", rows)
			}
			if logs, _ := filepath.Glob(filepath.Join(d.state, "audit-*.jsonl")); len(logs) != 1 {
				t.Errorf("audit logs %v", logs)
			}
		})
	}
}

// TestSoakInShort is make soak in short: a memory hog, and a control that goes
// beyond L and settles, in the seed's order and sizes. All others are make soak's
// alone: some take as long as the machine takes to fill its memory.
func TestSoakInShort(t *testing.T) {
	lab.Need(t)
	const seed = 3
	short := []drill.Drill{*drillNamed(t, "memhog"), *drillNamed(t, "burst")}
	record := filepath.Join(t.TempDir(), "soak.json")
	rows := built(t).rows(t, "--kernel", "6.12", "--seed", strconv.Itoa(seed), "--quiet", "5s", "--record", record, short[0].Name, short[1].Name)
	text, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	var s soak
	if err := json.Unmarshal(text, &s); err != nil || s.Seed != seed || s.Good != len(short) || s.Runs != len(short) || s.Machine.Cores == 0 ||
		s.Machine.Accel == "" || !strings.HasPrefix(s.Machine.GuestKernel, "6.12") || s.Machine.GuestCPUs != 2 || s.Machine.GuestMemMiB != 512 || s.Load == "" {
		t.Errorf("%v: %s", err, text)
	}
	for i, d := range drill.Seeded(short, seed) {
		if i >= len(rows) || rows[i].Drill != d.Name {
			t.Fatalf("%d runs, run %d is not of %s", len(rows), i, d.Name)
		}
	}
}

// TestHang breaks machines of each kernel: each is seen and named, none is called
// healed. In short each fault strikes one kernel; on both, the NMI that stops a
// CPU which spins, and the repair through the other.
func TestHang(t *testing.T) {
	lab.Need(t)
	d := built(t)
	for kernel, short := range map[string][]string{"6.1": {"hang-one", "panic"}, "6.12": {"hang-one", "deadlock", "hang-all"}} {
		t.Run(kernel, func(t *testing.T) {
			if lab.Soak() {
				short = []string{"hang"}
			}
			d.hangs(t, kernel, short...)
			if lab.Soak() && kernel == "6.1" { // asked over the network: a bdnic, by libibverbs over rdma_rxe
				d.hangs(t, kernel, "--carrier", string(bdnicRXE), "hang-one", "panic")
			}
		})
	}
}

// evidenceOf is what the line of each fault must tell.
var evidenceOf = map[string][]string{
	"hang-one": {"spin", "through the other CPU", "nmi", "TICKS.1"},
	"hang-all": {"spin", "does not answer", "TICKS.0, TICKS.1"},
	"deadlock": {"deadlock", "bdcanary"},
	"panic":    {"panic", "bd_inject: panic was asked for"},
}

func (d *bddrill) hangs(t *testing.T, kernel string, args ...string) {
	var want []string
	for _, a := range args {
		for _, h := range hangsNamed(a) {
			want = append(want, h.name)
		}
	}
	out, code := d.run(t, append([]string{"--kernel", kernel}, args...)...)
	if code != 3 {
		t.Errorf("exit %d, want 3: cannot be repaired in place", code)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 1+len(want) {
		t.Fatalf("%d lines: %s", len(lines), out)
	}
	for i, name := range want {
		for _, w := range append(evidenceOf[name], name, "cannot be repaired in place: salvage or reset") {
			if !strings.Contains(lines[1+i], w) {
				t.Errorf("line lacks %q: %s", w, lines[1+i])
			}
		}
	}
}
