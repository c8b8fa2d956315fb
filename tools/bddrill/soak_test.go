// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestSoakFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "soak.json")
	s := newSoak(path, 7)
	for i, row := range []drillRun{{Drill: "deep", OK: true, Healed: time.Second}, {Drill: "full", Why: "not healed"}} {
		if err := s.add(row); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var got soak
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if got.Seed != 7 || got.Runs != i+1 || got.Good != 1 || len(got.Rows) != i+1 || got.Rows[0].Healed != time.Second || got.Machine.Cores == 0 {
			t.Errorf("after run %d: %s", i+1, text)
		}
	}
	if err := newSoak(filepath.Join(path, "no", "folder"), 7).add(drillRun{}); err == nil {
		t.Error("a record that cannot be written is no error")
	}
	if err := newSoak("", 7).add(drillRun{}); err != nil {
		t.Error(err)
	}
}
