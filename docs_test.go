// SPDX-License-Identifier: Apache-2.0

package lazystate

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// The maps of docs/ send readers to files and tests: each must be there.
func TestWhatTheDocsNameExists(t *testing.T) {
	files := map[string]bool{}
	for _, name := range tracked(t) {
		for files[name] = true; name != "."; name = path.Dir(name) {
			files[name] = true
		}
	}
	code := regexp.MustCompile("`([^`\n]+)`")
	for _, doc := range []string{"docs/paper-map.md", "docs/security.md"} {
		src, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		named := 0
		for _, m := range code.FindAllStringSubmatch(string(src), -1) {
			name, test, _ := strings.Cut(m[1], ":")
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
		if named < 10 {
			t.Errorf("%s names %d files: is it still read right?", doc, named)
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
