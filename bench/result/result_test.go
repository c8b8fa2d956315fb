// SPDX-License-Identifier: Apache-2.0

package result

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func sample() *Figure {
	f := &Figure{
		Name: "table33", Title: "Table 3.3: repair time", X: "processes", Y: "ms", LogY: true,
		XNames:  []string{"cpu bomb", "I/O bomb"},
		Machine: Machine{Kernel: "6.1.0", CPU: "Some CPU", Cores: 2, MemMiB: 1024, Go: "go1.26", QEMU: "10.0.2 (Debian 1)", GuestPackage: "6.1.192-2", Accel: "tcg", GuestKernel: "6.1.0-1-amd64", GuestCPUs: 2, GuestMemMiB: 512, GuestSwap: 256},
		Runs:    3, Seed: 7, Date: time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC), Source: "0123 clean", Command: "go run ./bench/table33 --runs 3", Load: "0.1 0.2 0.3 before, 1.0 0.5 0.3 after", Columns: []string{"reads", "batches"},
	}
	f.Paper("paper", 100, 140)
	f.Add("ours", 100, []float64{3, 1, 2}, "400", "12")
	f.Notef("two\nlines become %s", "one")
	return f
}

func TestRoundTrip(t *testing.T) {
	want := sample()
	var b bytes.Buffer
	if err := want.Write(&b); err != nil {
		t.Fatal(err)
	}
	got, err := Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestRefusesWhatNobodyCouldReproduce(t *testing.T) {
	for name, spoil := range map[string]func(*Figure){
		"no machine":   func(f *Figure) { f.Machine = Machine{} },
		"no runs":      func(f *Figure) { f.Runs = 0 },
		"no date":      func(f *Figure) { f.Date = time.Time{} },
		"no commit":    func(f *Figure) { f.Source = "" },
		"no load":      func(f *Figure) { f.Load = "" },
		"no emulator":  func(f *Figure) { f.Machine.QEMU = "" },
		"no axis":      func(f *Figure) { f.Y = "" },
		"paper alone":  func(f *Figure) { f.Points = f.Points[:1] },
		"odd columns":  func(f *Figure) { f.Columns = f.Columns[:1] },
		"nothing at x": func(f *Figure) { f.Points = nil; f.Add("ours", 1, nil) },
	} {
		f := sample()
		spoil(f)
		if err := f.Write(&bytes.Buffer{}); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

func TestReadNamesWhatIsWrong(t *testing.T) {
	var b bytes.Buffer
	if err := sample().Write(&b); err != nil {
		t.Fatal(err)
	}
	for old, part := range map[string]string{
		"# runs: 3":    "header runs",
		"# cores: 2":   "header cores",
		"series,x":     "columns",
		"ours,100,2":   "row 2",
		"# bench: tab": "has no value",
	} {
		bad := strings.Replace(b.String(), old, strings.NewReplacer("3", "many", "cores: 2", "cores: two", "series", "row", "100,2", "100,x", "bench: ", "bench ").Replace(old), 1)
		if _, err := Read(strings.NewReader(bad)); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q spoilt: got error %v, want one with %q", old, err, part)
		}
	}
}

func TestSaveIsWholeOrNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not there yet")
	f := sample()
	if err := f.Save(dir); err != nil {
		t.Fatal(err)
	}
	f.Runs = 0
	if err := f.Save(dir); err == nil {
		t.Fatal("a bad figure was saved")
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 1 || files[0].Name() != "table33.csv" {
		t.Errorf("left behind: %v", files)
	}
	r, err := os.Open(filepath.Join(dir, "table33.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if old, err := Read(r); err != nil || old.Runs != 3 {
		t.Errorf("the good figure is gone: %v %v", old, err)
	}
}

func TestMedianLiesBetween(t *testing.T) {
	if got := Median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("median of 1..4 is %v", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), 1, 40).Draw(t, "samples")
		before := append([]float64(nil), s...)
		m, below, above := Median(s), 0, 0
		for _, v := range s {
			if v <= m {
				below++
			}
			if v >= m {
				above++
			}
		}
		if 2*below < len(s) || 2*above < len(s) {
			t.Fatalf("median %v of %v", m, s)
		}
		if d := cmp.Diff(before, s); d != "" {
			t.Fatalf("the samples were reordered: %s", d)
		}
	})
}

func TestHostNamesKernelAndCPU(t *testing.T) {
	m := Host()
	if m.Kernel == "" || m.CPU == "" || m.Cores < 1 || m.MemMiB < 1 {
		t.Errorf("host: %+v", m)
	}
	name, err := os.Hostname()
	if err == nil && len(name) > 3 && strings.Contains(m.String(), name) {
		t.Errorf("the machine's name is in %q", m)
	}
}

// A figure of a tree that was changed, or of no commit, is never taken for one
// of this code; a commit stands for itself until a program changes.
func TestSameSourceTrustsCleanCommitsOnly(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	must := func(args ...string) {
		t.Helper()
		if _, err := git(t.Context(), append([]string{"-c", "user.name=t", "-c", "user.email=t@t"}, args...)...); err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Source(t.Context()); err == nil {
		t.Error("a folder without a repository has a commit")
	}
	must("init", "-q")
	write("a.go", "package a")
	must("add", ".")
	must("commit", "-q", "-m", "one")
	write("bench/results/x.csv", "a bench wrote this")
	clean, err := Source(t.Context())
	if err != nil || !strings.HasSuffix(clean, " clean") || !SameSource(t.Context(), clean) {
		t.Errorf("clean tree: %q, %v", clean, err)
	}
	write("notes.md", "text is no code")
	write("a_test.go", "package a")
	dirty, err := Source(t.Context())
	if err != nil || !strings.HasSuffix(dirty, " with 2 changed files") || SameSource(t.Context(), dirty) {
		t.Errorf("two files more: %q, %v", dirty, err)
	}
	must("add", ".")
	must("commit", "-q", "-m", "two")
	if !SameSource(t.Context(), clean) {
		t.Error("text and tests are taken for code")
	}
	write("a.go", "package a // changed")
	if SameSource(t.Context(), clean) {
		t.Error("a changed program is taken for the same")
	}
}
