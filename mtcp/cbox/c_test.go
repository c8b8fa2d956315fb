// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// sanitized is how the C library is built for these tests, and plain as the
// Makefile builds it.
const (
	plain     = "-O2 -g -Wall -Wextra -Werror"
	sanitized = "-O1 -g -Wall -Wextra -Werror -fsanitize=address,undefined -fno-sanitize-recover=all"
)

// built remembers the C programs of testdata/c.
var built struct {
	sync.Mutex
	dir  string
	done map[string]error
}

// program builds a C program of testdata/c with the library.
func program(t testing.TB, name, flags string) string {
	t.Helper()
	for _, tool := range []string{"gcc", "make"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("LAZYSTATE_LAB") == "required" {
				t.Fatal(err)
			}
			t.Skipf("the C library needs a compiler: %v", err)
		}
	}
	built.Lock()
	defer built.Unlock()
	kind := "plain"
	if flags == sanitized {
		kind = "sanitized"
	}
	dir := filepath.Join(built.dir, kind)
	if _, ok := built.done[kind+name]; !ok {
		built.done[kind+name] = compile(dir, name, flags)
	}
	if err := built.done[kind+name]; err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

type buildError string

func (e buildError) Error() string { return string(e) }

func compile(dir, name, flags string) error {
	lib := exec.Command("make", "-s", "-C", "c", "O="+dir, "CFLAGS="+flags)
	link := exec.Command("gcc", append(strings.Fields(flags), "-Ic", "-I../../kmod", "-o", filepath.Join(dir, name),
		filepath.Join("testdata/c", name+".c"), filepath.Join(dir, "libcbox.a"), "-lpthread")...)
	for _, cmd := range []*exec.Cmd{lib, link} {
		cmd.Env = append(os.Environ(), "MAKEFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			return buildError(cmd.String() + ": " + err.Error() + "\n" + string(out))
		}
	}
	return nil
}

// spawnC is spawn of a process in C.
func spawnC(t testing.TB, flags, name string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(program(t, name, flags), args...)
	cmd.Env = append(os.Environ(), "ASAN_OPTIONS=detect_leaks=1:abort_on_error=0")
	return start(t, cmd)
}

// either starts processes in C and in Go by turns: a session that began in one
// goes on in the other.
func either(t *testing.T, role string) func(int) *process {
	return func(kills int) *process {
		if kills%2 == 0 {
			return spawnC(t, plain, "server", role)
		}
		return spawn(t, role)
	}
}

func onlyC(t *testing.T, role string) func(int) *process {
	return func(int) *process { return spawnC(t, sanitized, "server", role) }
}

// TestRootIsKilled, in C and between C and Go.
func TestRootInCIsKilled(t *testing.T) {
	t.Run("sanitized", func(t *testing.T) { killRoot(t, onlyC(t, "root")) })
	t.Run("C and Go", func(t *testing.T) { killRoot(t, either(t, "root")) })
}

// TestBackEndOfManySessionsIsKilled, in C and between C and Go.
func TestBackEndInCIsKilled(t *testing.T) {
	t.Run("sanitized", func(t *testing.T) { killBackEnd(t, 40000, onlyC(t, "back end")) })
	t.Run("C and Go", func(t *testing.T) { killBackEnd(t, 20000, either(t, "back end")) })
}
