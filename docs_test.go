// SPDX-License-Identifier: Apache-2.0

package lazystate

import (
	"go/ast"
	"go/parser"
	"go/token"
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
	"docs/sessions.md": 3, "docs/glossary.md": 5, "docs/tour.md": 5, "CHANGELOG.md": 10, "README.md": 2,
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
