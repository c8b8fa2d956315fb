// SPDX-License-Identifier: Apache-2.0

package lazystate

import (
	"bufio"
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestEveryPackageHasDoc(t *testing.T) {
	for _, p := range list(t) {
		if len(p.GoFiles)+len(p.CgoFiles) == 0 {
			continue
		}
		src, err := os.ReadFile(filepath.Join(p.Dir, "doc.go"))
		if err != nil {
			t.Errorf("%s has no doc.go", p.rel())
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), "doc.go", src, parser.ParseComments)
		if err != nil || f.Doc == nil || len(f.Doc.Text()) < 120 {
			t.Errorf("%s: doc.go does not say what the package is and its trap", p.rel())
		}
	}
}

func TestCoresArePure(t *testing.T) {
	for _, p := range list(t) {
		if !slices.Contains(pure, p.rel()) {
			continue
		}
		for _, imp := range p.Imports {
			if slices.Contains(impure, imp) {
				t.Errorf("core %s imports %s", p.rel(), imp)
			}
		}
		for _, name := range p.GoFiles {
			checkPure(t, filepath.Join(p.Dir, name))
		}
	}
}

// checkPure finds goroutines and clocks in one file of a core.
func checkPure(t *testing.T, file string) {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			t.Errorf("%s: a core starts no goroutine", fset.Position(n.Pos()))
		case *ast.SelectorExpr:
			pkg, ok := n.X.(*ast.Ident)
			if ok && pkg.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "NewTimer", "NewTicker", "Tick"}, n.Sel.Name) {
				t.Errorf("%s: a core is told the time, it never asks", fset.Position(n.Pos()))
			}
		}
		return true
	})
}

// tracked returns the files git knows, or nil outside a checkout.
func tracked(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("git", "ls-files").Output()
	if err != nil {
		t.Skip("not in a git checkout")
	}
	return strings.Fields(string(out))
}

func generated(name string) bool {
	return strings.Contains(name, "_bpfe") || strings.HasSuffix(name, "vmlinux.h") || strings.Contains(name, "testdata/") || strings.HasPrefix(name, "backdoor/uapi/z")
}

func TestEveryFileNamesItsLicence(t *testing.T) {
	source := []string{".go", ".c", ".cpp", ".h", ".sh", ".yaml", ".yml", ".mod"}
	texts := []string{"Apache-2.0"} // in LICENSE
	others, err := os.ReadDir("LICENSES")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range others {
		texts = append(texts, o.Name())
	}
	for _, name := range tracked(t) {
		if generated(name) || strings.HasSuffix(name, ".mod") || !slices.Contains(source, filepath.Ext(name)) && !slices.Contains([]string{"Makefile", "Kbuild"}, filepath.Base(name)) {
			continue
		}
		src, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			continue // deleted, not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		head := src[:min(len(src), 300)]
		_, line, found := strings.Cut(string(head), "SPDX-License-Identifier: ")
		if !found {
			t.Errorf("%s has no SPDX line", name)
		}
		line, _, _ = strings.Cut(line, "\n")
		for _, id := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" ()*/", r) }) {
			if id != "OR" && id != "WITH" && !slices.Contains(texts, id) {
				t.Errorf("%s is under %s, whose text is not here", name, id)
			}
		}
	}
}

func TestFilesStaySmall(t *testing.T) {
	for _, name := range tracked(t) {
		most := 400
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "kmod/uapi/") {
			most = 500 // scenarios; one definition in one place
		}
		if generated(name) || !slices.Contains([]string{".go", ".c", ".cpp", ".h"}, filepath.Ext(name)) {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		lines := 0
		for sc := bufio.NewScanner(bytes.NewReader(src)); sc.Scan(); {
			lines++
		}
		if lines > most {
			t.Errorf("%s has %d lines: split it by what it does", name, lines)
		}
	}
}

// A process that is to end with ours is tied to a thread that lives as long.
func TestLeashAlone(t *testing.T) {
	for _, name := range tracked(t) {
		if filepath.Ext(name) != ".go" || filepath.Dir(name) == "internal/leash" || name == "house_test.go" {
			continue
		}
		if src, err := os.ReadFile(name); err == nil && bytes.Contains(src, []byte("Pdeathsig")) {
			t.Errorf("%s sets Pdeathsig: internal/leash does, and keeps the thread", name)
		}
	}
}

// A test that does more in make soak is one that make soak runs.
func TestSoakRunsWhatHasMore(t *testing.T) {
	src, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	runs := soakRuns(string(src))
	more := regexp.MustCompile(`lab\.(Soak|Count|Sample)\(|"LAZYSTATE_SOAK"|soaktest\.New\(`)
	found := 0
	for _, name := range tracked(t) {
		src, err := os.ReadFile(name)
		if !strings.HasSuffix(name, "_test.go") || name == "house_test.go" || err != nil || !more.Match(src) {
			continue
		}
		found++
		for _, function := range regexp.MustCompile(`(?m)^func `).Split(string(src), -1) {
			test, _, _ := strings.Cut(function, "(")
			if more.MatchString(function) && !slices.ContainsFunc(runs, func(r soakRun) bool { return r.has(filepath.Dir(name), test) }) {
				t.Errorf("%s: %s does more in make soak, which does not run it", name, test)
			}
		}
	}
	if found < 30 {
		t.Errorf("%d tests do more in make soak: is it still read right?", found)
	}
}

// soakRun is a package that make soak runs, or all below one, and of which tests.
type soakRun struct {
	pkg   string
	tests *regexp.Regexp // nil: all
}

// soakRuns reads them in a Makefile.
func soakRuns(makefile string) (runs []soakRun) {
	recipe := regexp.MustCompile(`(?m)^soak:.*\n((?:\t.*\n)+)`).FindString(makefile)
	only := regexp.MustCompile(`-run (?:'([^']*)'|(\S+))`)
	for _, line := range regexp.MustCompile(`LAZYSTATE_SOAK=1.* go test .*`).FindAllString(recipe, -1) {
		var tests *regexp.Regexp
		if m := only.FindStringSubmatch(line); m != nil {
			tests = regexp.MustCompile(m[1] + m[2])
		}
		for _, word := range strings.Fields(line) {
			if pkg, ok := strings.CutPrefix(word, "./"); ok {
				runs = append(runs, soakRun{pkg, tests})
			}
		}
	}
	return runs
}

// has is true for a test of the package in dir; whoever is no test is called by some that
// run there.
func (r soakRun) has(dir, test string) bool {
	below, all := strings.CutSuffix(r.pkg, "/...")
	if r.pkg != dir && (!all || dir != below && !strings.HasPrefix(dir, below+"/")) {
		return false
	}
	return r.tests == nil || !strings.HasPrefix(test, "Test") || r.tests.MatchString(test)
}
