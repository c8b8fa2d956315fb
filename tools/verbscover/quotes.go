// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
)

// quote is a prototype under "Implements:".
type quote struct {
	name, proto string
	at          string // file:line
	by          string // "verbs.(*CQ).Poll"
}

// quotes returns what the Go files under root/verbs quote.
func quotes(root string) ([]quote, error) {
	var all []quote
	err := filepath.WalkDir(filepath.Join(root, "verbs"), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		found, err := quotesOf(root, name)
		all = append(all, found...)
		return err
	})
	return all, err
}

func quotesOf(root, name string) ([]quote, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	rel, err := filepath.Rel(root, name)
	if err != nil {
		return nil, err
	}
	var all []quote
	for _, decl := range f.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Doc == nil {
			continue
		}
		_, tail, ok := strings.Cut(fn.Doc.Text(), "Implements:\n")
		if !ok {
			continue
		}
		for line := range strings.Lines(tail) {
			if n, proto, ok := parse(line); ok {
				all = append(all, quote{n, proto, fset.Position(fn.Pos()).String(), path.Dir(rel) + "." + funcName(fn)})
			}
		}
	}
	return all, nil
}

func funcName(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return fn.Name.Name
	}
	t := fn.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name + "." + fn.Name.Name
	}
	return fn.Name.Name
}
