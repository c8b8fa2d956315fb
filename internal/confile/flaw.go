// SPDX-License-Identifier: Apache-2.0

package confile

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// flaw is an error and the YAML path, below the root, of what is wrong.
type flaw struct {
	path string
	err  error
}

func (m *flaw) Error() string { return strings.TrimPrefix(m.path, ".") + ": " + m.err.Error() }

func (m *flaw) Unwrap() error { return m.err }

// At says where in a file err is, by a YAML path such as .targets[0].url; paths
// are put together from inside out.
func At(path string, err error) error {
	if m := (*flaw)(nil); errors.As(err, &m) {
		return &flaw{path + m.path, m.err}
	}
	return &flaw{path, err}
}

// Locate puts line and column before an error that At has marked.
func Locate(src []byte, err error) error {
	m := (*flaw)(nil)
	if !errors.As(err, &m) {
		return err
	}
	file, broken := parser.ParseBytes(src, 0)
	if broken != nil {
		return err
	}
	// What is wrong may be absent, or behind an alias: then its parent is meant.
	for path := m.path; path != ""; path = parent(path) {
		if n := nodeAt(file, path); n != nil {
			pos := n.GetToken().Position
			return fmt.Errorf("[%d:%d] %w", pos.Line, pos.Column, err)
		}
	}
	return err
}

func nodeAt(file *ast.File, path string) ast.Node {
	p, err := yaml.PathString("$" + path)
	if err != nil {
		return nil
	}
	n, err := p.FilterFile(file)
	if err != nil {
		return nil
	}
	return n
}

func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}
