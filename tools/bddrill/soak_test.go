// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lazystate/bench/result"
)

func TestSoakFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "soak.json")
	s := newSoak(t.Context(), path, 7)
	// What was measured can be had again: by which code, on which emulator, with which target.
	here, _ := result.Source(t.Context())
	commit, _, _ := strings.Cut(here, " ") // others may edit this tree meanwhile
	var vm result.Machine
	if vm.VM(); !strings.HasPrefix(s.Source, commit) || commit == "" != (s.Source == "") || s.Machine.QEMU != vm.QEMU {
		t.Errorf("source %q, want %q; QEMU %q, want %q", s.Source, here, s.Machine.QEMU, vm.QEMU)
	}
	target := result.Machine{Cores: 2, GuestKernel: "6.1.0", Accel: "tcg", GuestCPUs: 2, GuestMemMiB: 512, GuestSwap: 512}
	for i, row := range []drillRun{{Drill: "deep", OK: true, Healed: time.Second, machine: target}, {Drill: "full", Why: "it did not boot"}} {
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
		if got.Seed != 7 || got.Runs != i+1 || got.Good != 1 || len(got.Rows) != i+1 || got.Rows[0].Healed != time.Second ||
			got.Machine != target || !strings.Contains(got.Load, " before, ") {
			t.Errorf("after run %d: %s", i+1, text)
		}
	}
	if err := (&soak{path: filepath.Join(path, "no", "folder")}).add(drillRun{}); err == nil {
		t.Error("a record that cannot be written is no error")
	}
	if err := newSoak(t.Context(), "", 7).add(drillRun{}); err != nil {
		t.Error(err)
	}
}
