// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lazystate/bench/result"
)

// Every committed figure can be read and reproduced: it names its commit, its
// command, the host's load, the emulator and the guest's package, and was drawn.
// What fails here is stale: go run ./bench/all makes it anew.
func TestCommittedResults(t *testing.T) {
	files, err := filepath.Glob("../results/*.csv")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Error("no results are committed")
	}
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".csv")
		if err := whole(path, name); err != nil {
			t.Errorf("stale: %s: %v", name, err)
		}
		if !slices.Contains(names(benches), name) {
			t.Errorf("%s: no bench makes it", path)
		}
	}
}

func whole(path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	fig, err := result.Read(f)
	if err != nil {
		return err
	}
	if fig.Name != name {
		return os.ErrInvalid
	}
	_, err = os.Stat(strings.TrimSuffix(path, ".csv") + ".svg")
	return err
}
