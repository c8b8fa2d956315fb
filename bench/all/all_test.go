// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"lazystate/bench/result"
	"lazystate/tools/lab"
)

// A bench that exists but is not in the list would never run in `make bench`.
func TestEveryBenchIsRun(t *testing.T) {
	dirs, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	support := append([]string{"all", "apps", "argo", "auctionload", "bedtest", "beside", "calls", "fuzz", "guest", "plot", "result", "results", "soaktest", "trial", "useful", "webload"}, names(apart)...)
	for _, d := range dirs {
		if d.IsDir() && !slices.Contains(support, d.Name()) && !slices.ContainsFunc(benches, func(b bench) bool { return b.folder() == d.Name() }) {
			t.Errorf("bench/%s is not in the list", d.Name())
		}
	}
	for _, b := range slices.Concat(benches, apart) {
		if _, err := os.Stat("../" + b.folder()); err != nil {
			t.Errorf("bench %s: %v", b.name, err)
		}
	}
}

// A figure is kept when the same command of the same committed code made it.
func TestWhatIsThereIsKept(t *testing.T) {
	root := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		args = append([]string{"-C", root, "-c", "user.name=t", "-c", "user.email=t@t"}, args...)
		if out, err := exec.CommandContext(t.Context(), "git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git: %v: %s", err, out)
		}
	}
	git("init", "-q")
	git("commit", "-q", "--allow-empty", "-m", "one")
	t.Chdir(root)
	clean, err := result.Source(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	save := func(command, source string) {
		t.Helper()
		f := &result.Figure{
			Name: "fetch", Title: "T", X: "x", Y: "y", Runs: 1, Date: time.Now(), Source: source, Command: command, Load: "0 0 0",
			Machine: result.Machine{Kernel: "6.1", CPU: "C"},
		}
		f.Add("ours", 1, []float64{1})
		if err := f.Save(root); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		command, source string
		s               suite
		want            bool
	}{
		{"go run ./bench/fetch", clean, suite{}, true},
		{"go run ./bench/fetch", clean, suite{force: true}, false},
		{"go run ./bench/fetch", clean, suite{quick: true}, false},
		{"go run ./bench/fetch --runs=1", clean, suite{quick: true}, true},
		{"go run ./bench/fetch --runs=1", clean, suite{}, false},
		{"go run ./bench/fetch --argo-shm='mpirun -n 2 micro' --argo-tcp='mpirun micro'", clean, suite{}, true},
		{"go run ./bench/fetch", strings.Replace(clean, "clean", "with 2 changed files", 1), suite{}, false},
	} {
		save(c.command, c.source)
		c.s.out = root
		if got := c.s.have(t.Context(), bench{name: "fetch"}); got != c.want || got && len(c.s.figures) != 1 {
			t.Errorf("%s, %s, %+v: kept %v", c.command, c.source, c.s, got)
		}
	}
	if (&suite{out: root}).have(t.Context(), bench{name: "fig37"}) {
		t.Error("a figure that is not there is kept")
	}
}

// Every bench says how long it takes; one that was measured before takes as long
// as then. In make test every fifth is asked, for each has to be linked; in make soak all.
func TestThePlan(t *testing.T) {
	t.Chdir("../..")
	var log, out bytes.Buffer
	dir := t.TempDir()
	var asked []bench
	for i := 0; i < len(benches); i += lab.Count(5, 1) {
		asked = append(asked, benches[i])
	}
	code := run(t.Context(), []string{"--plan", "--only", strings.Join(names(asked), ","), "--out", dir}, nil, &out, &log)
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if code != 0 || len(lines) != len(asked)+1 {
		t.Fatalf("exit %d:\n%s", code, &log)
	}
	sum := time.Duration(0)
	for i, b := range append(asked, bench{name: "all"}) {
		f := strings.Fields(lines[i])
		took, err := time.ParseDuration(f[1])
		if f[0] != b.name || err != nil || took < time.Second {
			t.Errorf("%q: %v", lines[i], err)
		}
		if b.name == "all" && took != sum {
			t.Errorf("%v together, the plan says %v", sum, took)
		}
		sum += took
	}
	fig := &result.Figure{
		Name: "fetch", Title: "T", X: "x", Y: "y", Runs: 1, Date: time.Now(), Took: 77 * time.Second, Source: "of another tree", Load: "0 0 0",
		Command: "go run ./bench/fetch", Machine: result.Machine{Kernel: "6.1", CPU: "C"},
	}
	fig.Add("ours", 1, []float64{1})
	if err := fig.Save(dir); err != nil {
		t.Fatal(err)
	}
	log.Reset()
	if code := run(t.Context(), []string{"--plan", "--only", "fetch", "--out", dir}, nil, &out, &log); code != 0 || !strings.Contains(log.String(), "1m17s") {
		t.Errorf("exit %d:\n%s", code, &log)
	}
}

func TestWrongUseExits2(t *testing.T) {
	for _, args := range [][]string{{"--only", "fig99"}, {"--only", "survival"}, {"--only", "detect-soak"}, {"--fast"}, {"fetch"}} {
		if code := run(t.Context(), args, nil, io.Discard, io.Discard); code != 2 {
			t.Errorf("%v: exit %d", args, code)
		}
	}
}
