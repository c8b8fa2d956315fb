// SPDX-License-Identifier: Apache-2.0

package goprogram

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const smallest = "lazystate/tools/bddrill/bdpipe"

// A run's second call builds nothing and has a program that works; outside of a
// run nothing is kept.
func TestBuild(t *testing.T) {
	t.Setenv(keptEnv, t.TempDir())
	first, second := t.TempDir(), t.TempDir()
	if err := Build(t.Context(), first, smallest); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", first) // no go
	for range 2 {           // and what lies there is no hindrance
		if err := Build(t.Context(), second, smallest); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := exec.LookPath(filepath.Join(second, "bdpipe")); err != nil {
		t.Error(err)
	}
	if err := Build(t.Context(), second, "lazystate/tools/bddrill/bdcanary"); err == nil {
		t.Error("a program that was not built before is there")
	}
	t.Setenv(keptEnv, "")
	if dir, err := Kept("host"); err != nil || dir != "" {
		t.Errorf("kept in %q, %v", dir, err)
	}
	if err := Build(t.Context(), second, smallest); err == nil {
		t.Error("it was built without a compiler")
	}
}

// What is of another file system is copied, over what was there.
func TestBring(t *testing.T) {
	dir, shm := t.TempDir(), "/dev/shm"
	from, err := os.CreateTemp(shm, "goprogram-")
	if err != nil {
		t.Skip(err)
	}
	defer os.Remove(from.Name())
	if _, err := from.WriteString("new"); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "to")
	if err := os.WriteFile(to, []byte("what was there"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := bring(from.Name(), to); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(to); err != nil || string(b) != "new" {
		t.Errorf("%q, %v", b, err)
	}
}
