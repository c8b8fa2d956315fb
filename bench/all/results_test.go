// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/csv"
	"errors"
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

// survivalRuns is make survival's record: a line for each column of each run, from
// which table and picture are made, and no figure.
const survivalRuns = "survival-runs"

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
		if name == survivalRuns {
			if err := wholeRecord(path); err != nil {
				t.Errorf("stale: %s: %v", name, err)
			}
			continue
		}
		if err := whole(path, name); err != nil {
			t.Errorf("stale: %s: %v", name, err)
		}
		if !slices.Contains(names(slices.Concat(benches, apart)), name) {
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

// wholeRecord looks at each line's commit, and for what is made of the record.
func wholeRecord(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return err
	}
	if len(rows) < 2 || !slices.Contains(rows[0], "commit") {
		return errors.New("no run is recorded")
	}
	at := slices.Index(rows[0], "commit")
	for i, row := range rows[1:] {
		if !source.MatchString(row[at]) {
			return fmt.Errorf("line %d: its commit is %q, which no program has written", i+2, row[at])
		}
	}
	for _, made := range []string{"survival.md", "survival.svg"} {
		if _, err := os.Stat(filepath.Join(filepath.Dir(path), made)); err != nil {
			return err
		}
	}
	return nil
}

// A record of runs is refused where a line names no commit or nothing was made of it.
func TestWholeRecord(t *testing.T) {
	const head, commit = "kernel,row,commit\n", "6f8f7ad3033ab3c0ad9a2185d343ae41bc84e57c clean"
	good := head + "6.1,idle," + commit + "\n"
	for _, c := range []struct {
		what, text string
		made, want bool
	}{
		{"whole", good, true, true},
		{"nothing made of it", good, false, false},
		{"a line without", good + "6.12,idle,\n", true, false},
		{"no line", head, true, false},
		{"a line that is cut", good + "6.12\n", true, false},
		{"another file", "a,b\n1,2\n", true, false},
	} {
		dir := t.TempDir()
		files := map[string]string{survivalRuns + ".csv": c.text}
		if c.made {
			files["survival.md"], files["survival.svg"] = "", ""
		}
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := wholeRecord(filepath.Join(dir, survivalRuns+".csv")); (err == nil) != c.want {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}
