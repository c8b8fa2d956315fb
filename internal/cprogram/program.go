// SPDX-License-Identifier: Apache-2.0

package cprogram

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// How a program and the library in it are built: as the Makefile does, or so
// that the sanitizers watch them.
const (
	Plain     = "-O2 -g -Wall -Wextra -Werror"
	Sanitized = "-O1 -g -Wall -Wextra -Werror -fsanitize=address,undefined -fno-sanitize-recover=all"
)

// Library is one of the project's.
type Library struct {
	Source  string // its folder, from the module's
	Archive string // what its Makefile makes
	Macros  string // in its folder: for programs that m4 preprocesses, file.c.in
}

var built struct {
	sync.Mutex
	dir  string
	done map[string]error
}

// Clean removes all that was built.
func Clean() {
	built.Lock()
	defer built.Unlock()
	_ = os.RemoveAll(built.dir)
	built.dir, built.done = "", nil
}

// Program builds a C source file with the library and returns the program's path.
func (l Library) Program(t testing.TB, source, flags string) string {
	t.Helper()
	tools := []string{"gcc", "make"}
	if filepath.Ext(source) == ".in" {
		tools = append(tools, "m4")
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("LAZYSTATE_LAB") == "required" {
				t.Fatal(err)
			}
			t.Skipf("the C library needs a compiler: %v", err)
		}
	}
	out, err := l.build(source, flags)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (l Library) build(source, flags string) (string, error) {
	built.Lock()
	defer built.Unlock()
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "cprogram")
		if err != nil {
			return "", err
		}
		built.dir, built.done = dir, map[string]error{}
	}
	dir := filepath.Join(built.dir, map[string]string{Plain: "plain", Sanitized: "sanitized"}[flags])
	name, _, _ := strings.Cut(filepath.Base(source), ".")
	out := filepath.Join(dir, name)
	err, known := built.done[out]
	if !known {
		err = l.compile(dir, out, source, flags)
		built.done[out] = err
	}
	return out, err
}

func (l Library) compile(dir, out, source, flags string) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	lib := filepath.Join(root, l.Source)
	if err := run(exec.Command("make", "-s", "-C", lib, "O="+dir, "CFLAGS="+flags)); err != nil {
		return err
	}
	if filepath.Ext(source) == ".in" {
		if source, err = l.expand(lib, source, out+".c"); err != nil {
			return err
		}
	}
	return run(exec.Command("gcc", append(strings.Fields(flags), "-I"+lib, "-I"+filepath.Join(root, "kmod"),
		"-o", out, source, filepath.Join(dir, l.Archive), "-lpthread", "-lm")...))
}

// expand preprocesses a source file by the library's macros, as SPLASH-2's are.
func (l Library) expand(lib, source, to string) (string, error) {
	f, err := os.Create(to)
	if err != nil {
		return "", err
	}
	cmd := exec.Command("m4", "-Ulen", "-Uindex", filepath.Join(lib, l.Macros), source)
	cmd.Stdout = f
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%v: %w", cmd, err)
	}
	return to, f.Close()
}

func run(cmd *exec.Cmd) error {
	cmd.Env = append(os.Environ(), "MAKEFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd, err, out)
	}
	return nil
}

// moduleRoot is the folder of go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil && dir != "/" {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		dir = filepath.Dir(dir)
	}
	return "", fmt.Errorf("no go.mod above the test: %w", err)
}
