// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lazystate/bench/result"
)

// source is what result.Source writes. What else stands there was not written by
// the program that measured, and nobody can tell what was.
var source = regexp.MustCompile(`^[0-9a-f]{40} (clean|with [1-9][0-9]* changed files)$`)

// editedByHand was, and is to be measured anew: then this goes.
const editedByHand = "monitorcpu"

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

// The records of drills and soaks name their commit as figures do.
func TestCommittedRecords(t *testing.T) {
	files, err := filepath.Glob("../results/*.json")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`"source": "(.*)"`)
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found := named.FindAllSubmatch(text, -1)
		if len(found) == 0 {
			t.Errorf("%s names no commit", path)
		}
		for _, m := range found {
			if !source.Match(m[1]) {
				t.Errorf("%s: its commit is %q, which no program has written", path, m[1])
			}
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
	if !source.MatchString(fig.Source) && name != editedByHand {
		return fmt.Errorf("its commit is %q, which no bench has written", fig.Source)
	}
	_, err = os.Stat(strings.TrimSuffix(path, ".csv") + ".svg")
	return err
}
