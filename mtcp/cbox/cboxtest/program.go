// SPDX-License-Identifier: Apache-2.0

package cboxtest

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
func Program(t testing.TB, source, flags string) string {
	t.Helper()
	for _, tool := range []string{"gcc", "make"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("LAZYSTATE_LAB") == "required" {
				t.Fatal(err)
			}
			t.Skipf("the C library needs a compiler: %v", err)
		}
	}
	out, err := build(source, flags)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func build(source, flags string) (string, error) {
	built.Lock()
	defer built.Unlock()
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "cbox")
		if err != nil {
			return "", err
		}
		built.dir, built.done = dir, map[string]error{}
	}
	dir := filepath.Join(built.dir, map[string]string{Plain: "plain", Sanitized: "sanitized"}[flags])
	out := filepath.Join(dir, strings.TrimSuffix(filepath.Base(source), ".c"))
	err, known := built.done[out]
	if !known {
		err = compile(dir, out, source, flags)
		built.done[out] = err
	}
	return out, err
}

func compile(dir, out, source, flags string) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	lib := exec.Command("make", "-s", "-C", filepath.Join(root, "mtcp/cbox/c"), "O="+dir, "CFLAGS="+flags)
	link := exec.Command("gcc", append(strings.Fields(flags), "-I"+filepath.Join(root, "mtcp/cbox/c"), "-I"+filepath.Join(root, "kmod"),
		"-o", out, source, filepath.Join(dir, "libcbox.a"), "-lpthread")...)
	for _, cmd := range []*exec.Cmd{lib, link} {
		cmd.Env = append(os.Environ(), "MAKEFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w\n%s", cmd, err, out)
		}
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
