// SPDX-License-Identifier: Apache-2.0

package result

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// Suites that end at the same time leave their lines, all of them.
func TestSoaksSideBySide(t *testing.T) {
	if _, err := Source(t.Context()); err != nil {
		t.Skip("not in a git checkout")
	}
	path := filepath.Join(t.TempDir(), "soak.json")
	var suites sync.WaitGroup
	for i := range 8 {
		suites.Go(func() {
			if err := (&Soak{Test: strconv.Itoa(i)}).Save(t.Context(), path); err != nil {
				t.Error(err)
			}
		})
	}
	suites.Wait()
	var all []*Soak
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &all); err != nil || len(all) != 8 {
		t.Errorf("%d lines, %v", len(all), err)
	}
}

// A test's line takes the place of its last one; others stay. A file that is not
// ours is left as it is.
func TestSoak(t *testing.T) {
	if _, err := Source(t.Context()); err != nil {
		t.Skip("not in a git checkout")
	}
	path := filepath.Join(t.TempDir(), "soak.json")
	for _, s := range []Soak{{Test: "a", Runs: 1}, {Test: "b", Seed: 7, Counts: map[string]int{"lost": 2}}, {Test: "a", Runs: 3, Good: true}} {
		if err := s.Save(t.Context(), path); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []Soak
	if err := json.Unmarshal(text, &all); err != nil || len(all) != 2 {
		t.Fatalf("%v: %s", err, text)
	}
	if all[0].Test != "b" || all[0].Seed != 7 || all[0].Counts["lost"] != 2 || all[1].Runs != 3 || !all[1].Good {
		t.Errorf("%s", text)
	}
	if all[0].Source == "" || all[0].Machine.Kernel == "" {
		t.Errorf("nobody could repeat it: %s", text)
	}
	if err := os.WriteFile(path, []byte("no record"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (&Soak{Test: "c"}).Save(t.Context(), path); err == nil {
		t.Error("somebody's file was written over")
	}
}
