// SPDX-License-Identifier: Apache-2.0

package lazystate

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs are pages that send readers to files and tests, and to how many at least.
var docs = map[string]int{
	"docs/paper-map.md": 100, "docs/security.md": 30, "docs/design.md": 10, "docs/operations.md": 3, "docs/protocol.md": 3,
	"docs/sessions.md": 3, "docs/dsm.md": 3, "docs/glossary.md": 5, "docs/tour.md": 5, "CHANGELOG.md": 10, "README.md": 2,
}

// What the pages name must be there.
func TestWhatTheDocsNameExists(t *testing.T) {
	files := map[string]bool{}
	for _, name := range tracked(t) {
		for files[name] = true; name != "."; name = path.Dir(name) {
			files[name] = true
		}
	}
	code := regexp.MustCompile("`([^`\n]+)`")
	for doc, least := range docs {
		src, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		named := 0
		for _, m := range code.FindAllStringSubmatch(string(src), -1) {
			name, test, _ := strings.Cut(m[1], ":")
			name = strings.TrimSuffix(name, "/")
			if !looksLikePath(name, files) {
				continue
			}
			named++
			if !files[name] {
				t.Errorf("%s names %s, which is not there", doc, name)
			} else if test != "" && !hasTest(t, name, test) {
				t.Errorf("%s names the test %s, which is not in %s", doc, test, name)
			}
		}
		if named < least {
			t.Errorf("%s names %d files, not %d: is it still read right?", doc, named, least)
		}
	}
}

// The module's map of its own files is whole.
func TestModuleNamesItsFiles(t *testing.T) {
	src, err := os.ReadFile("kmod/README.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("`([a-z_*]+\\.c)`").FindAllStringSubmatch(string(src), -1)
	for _, file := range tracked(t) {
		name, ok := strings.CutPrefix(file, "kmod/")
		name = strings.TrimPrefix(name, "rdma/")
		if !ok || path.Ext(name) != ".c" || strings.Contains(name, "/") {
			continue
		}
		if !slices.ContainsFunc(names, func(m []string) bool { is, _ := path.Match(m[1], name); return is }) {
			t.Errorf("kmod/README.md does not name %s", file)
		}
	}
}

// A row with a cell too many loses it where the page is shown.
func TestTablesHaveWholeRows(t *testing.T) {
	code := regexp.MustCompile("`[^`]*`")
	for _, name := range tracked(t) {
		src, err := os.ReadFile(name)
		if path.Ext(name) != ".md" || err != nil {
			continue
		}
		width := 0
		for i, line := range strings.Split(string(src), "\n") {
			if !strings.HasPrefix(line, "|") {
				width = 0
				continue
			}
			cells := strings.ReplaceAll(code.ReplaceAllString(line, "code"), `\|`, "")
			n := strings.Count(cells, "|") - 1
			if width == 0 {
				width = n
			}
			if n != width {
				t.Errorf("%s:%d: %d cells in a table of %d", name, i+1, n, width)
			}
		}
	}
}

// looksLikePath: text in backquotes is a path when it starts with one of the
// top folders and has nothing in it that paths do not have here.
func looksLikePath(name string, files map[string]bool) bool {
	top, _, deep := strings.Cut(name, "/")
	return deep && files[top] && !strings.ContainsAny(name, " <>*=(,") && !strings.HasPrefix(name, "build/")
}

func hasTest(t *testing.T, file, test string) bool {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == test {
			return true
		}
	}
	return false
}

// What docs/sessions.md shows in Go is part of an example that is compiled, and
// what it names in Go and in C is there.
func TestSessionsPageIsTrue(t *testing.T) {
	src, err := os.ReadFile("docs/sessions.md")
	if err != nil {
		t.Fatal(err)
	}
	page, examples := string(src), ""
	for _, name := range []string{"mtcp/keeper/example_test.go", "mtcp/web/example_test.go"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		examples += unindented(string(b))
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(page, -1)
	for _, b := range blocks {
		for _, part := range strings.Split(b[1], "\n\n") {
			if !strings.Contains(examples, unindented(part)) {
				t.Errorf("no example has\n%s", part)
			}
		}
	}
	head, err := os.ReadFile("mtcp/cbox/c/cbox.h")
	if err != nil {
		t.Fatal(err)
	}
	inC := regexp.MustCompile(`\b(?:cbox|CBOX)_\w+`).FindAllString(page, -1)
	for _, name := range inC {
		if !regexp.MustCompile(`\b` + name + `\b`).Match(head) {
			t.Errorf("%s is not in cbox.h", name)
		}
	}
	known := map[string]bool{}
	for _, pkg := range []string{"cbox", "keeper", "web", "mtcp"} {
		exported(t, pkg, known)
	}
	inGo := regexp.MustCompile("`((?:(?:cbox|keeper|web|mtcp)\\.)?[A-Z][a-z]\\w*(?:\\.[A-Z]\\w+)?)[`{(]").FindAllStringSubmatch(page, -1)
	for _, m := range inGo {
		if name := m[1]; !known[name] && !known["cbox."+name] && !known["."+name] {
			t.Errorf("%s is not exported", name)
		}
	}
	if len(blocks) < 5 || len(inC) < 15 || len(inGo) < 15 {
		t.Errorf("%d pieces of Go, %d names of C, %d of Go: is it still read right?", len(blocks), len(inC), len(inGo))
	}
}

func unindented(text string) string {
	return regexp.MustCompile(`(?m)^[\t ]+`).ReplaceAllString(text, "")
}

// exported notes a package's names: pkg.Name, and of methods and fields also
// pkg.Type.Name and .Name.
func exported(t *testing.T, pkg string, known map[string]bool) {
	t.Helper()
	dir := "mtcp/" + pkg
	if pkg == "mtcp" {
		dir = pkg
	}
	for _, file := range tracked(t) {
		if path.Dir(file) != dir || path.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					known[pkg+"."+d.Name.Name] = true
					continue
				}
				of := strings.TrimPrefix(types.ExprString(d.Recv.List[0].Type), "*")
				known[pkg+"."+of+"."+d.Name.Name], known["."+d.Name.Name] = true, true
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					name(spec, pkg, known)
				}
			}
		}
	}
}

func name(spec ast.Spec, pkg string, known map[string]bool) {
	switch s := spec.(type) {
	case *ast.ValueSpec:
		for _, n := range s.Names {
			known[pkg+"."+n.Name] = true
		}
	case *ast.TypeSpec:
		known[pkg+"."+s.Name.Name] = true
		if of, ok := s.Type.(*ast.StructType); ok {
			for _, f := range of.Fields.List {
				for _, n := range f.Names {
					known[pkg+"."+s.Name.Name+"."+n.Name], known["."+n.Name] = true, true
				}
			}
		}
	}
}
