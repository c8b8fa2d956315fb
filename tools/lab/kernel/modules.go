// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"lazystate/internal/atomicfile"
)

// extraDeps are dependencies that no depends or softdep field names.
// Without crc32_generic "rdma link add" answers "No such file or directory".
var extraDeps = map[string][]string{"rdma_rxe": {"crc32_generic"}}

// Module is one module file, uncompressed.
type Module struct {
	Name string // as insmod and lsmod name it: underscores
	Path string // file in the cache
}

// ModulePaths returns the named modules and all they depend on, in an order
// in which each can be inserted. Names that are built in give nothing.
func (k *Kernel) ModulePaths(names ...string) ([]Module, error) {
	idx, err := k.moduleIndex()
	if err != nil {
		return nil, err
	}
	w := walk{idx: idx, seen: map[string]bool{}}
	for _, n := range names {
		if err := w.visit(normal(n)); err != nil {
			return nil, fmt.Errorf("kernel %s: %w", k.Release, err)
		}
	}
	for i := range w.order {
		if err := k.uncompressed(&w.order[i]); err != nil {
			return nil, err
		}
	}
	return w.order, nil
}

type index struct {
	path    map[string]string   // name -> path below modulesDir
	deps    map[string][]string // name -> names, as modules.dep orders them
	builtin map[string]bool
}

func normal(name string) string { return strings.ReplaceAll(name, "-", "_") }

func moduleName(path string) string {
	base, _, _ := strings.Cut(filepath.Base(path), ".ko")
	return normal(base)
}

func (k *Kernel) moduleIndex() (*index, error) {
	idx := &index{path: map[string]string{}, deps: map[string][]string{}, builtin: map[string]bool{}}
	dep, err := os.ReadFile(filepath.Join(k.modulesDir(), "modules.dep"))
	if err != nil {
		return nil, err
	}
	for sc := bufio.NewScanner(bytes.NewReader(dep)); sc.Scan(); {
		path, deps, _ := strings.Cut(sc.Text(), ":")
		name := moduleName(path)
		idx.path[name] = path
		for _, d := range strings.Fields(deps) {
			idx.deps[name] = append(idx.deps[name], moduleName(d))
		}
	}
	builtin, err := os.ReadFile(filepath.Join(k.modulesDir(), "modules.builtin"))
	if err != nil {
		return nil, err
	}
	for _, path := range strings.Fields(string(builtin)) {
		idx.builtin[moduleName(path)] = true
	}
	return idx, nil
}

// walk is a depth-first topological order over the dependencies.
type walk struct {
	idx   *index
	seen  map[string]bool
	order []Module
}

func (w *walk) visit(name string) error {
	if w.seen[name] || w.idx.builtin[name] {
		return nil
	}
	w.seen[name] = true
	path, ok := w.idx.path[name]
	if !ok {
		return fmt.Errorf("no module %s", name)
	}
	for _, d := range append(extraDeps[name], w.idx.deps[name]...) {
		if err := w.visit(d); err != nil {
			return err
		}
	}
	w.order = append(w.order, Module{Name: name, Path: path})
	return nil
}

// uncompressed turns m.Path into a plain .ko in the cache: finit_module of
// older kernels takes nothing else.
func (k *Kernel) uncompressed(m *Module) error {
	src := filepath.Join(k.modulesDir(), m.Path)
	if !strings.HasSuffix(src, ".xz") {
		m.Path = src
		return nil
	}
	m.Path = strings.TrimSuffix(src, ".xz")
	if _, err := os.Stat(m.Path); err == nil {
		return nil
	}
	b, err := os.ReadFile(src)
	if err != nil {
		return err
	}
	plain, err := unxz(bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("%s: %w", src, err)
	}
	return atomicfile.Write(m.Path, plain, 0o600)
}
