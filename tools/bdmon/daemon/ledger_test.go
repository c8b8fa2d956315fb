// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lazystate/repair/drill"
	"lazystate/repair/policy"
	"lazystate/tools/lab"
)

// lines are of an incident as bdmon wrote it, with one of another machine and
// one of another incident between.
const lines = `{"time":"2026-11-23T07:00:01Z","target":"t","incident":"t-1","healer":"H","step":"event","decided":true,"data":["exceeded NPROCS 203 > 150"]}
{"time":"2026-11-23T07:00:01Z","target":"u","incident":"u-1","healer":"H","step":"event","decided":true,"data":[]}
{"time":"2026-11-23T07:00:02Z","target":"t","incident":"t-1","healer":"H","step":"plan","decided":true,"data":{"culprits":200,"findings":[{"policy":"POLICY_TOO_MANY_PROCS","uid":65534,"value":200,"limit":100}],"walk_ns":5,"reads":900,"batches":14}}
{"time":"2026-11-23T07:00:02Z","target":"t","incident":"t-2","healer":"H","step":"event","decided":true,"data":[]}
{"time":"2026-11-23T07:00:03Z","target":"t","incident":"t-1","healer":"H","step":"kill","decided":true,"data":{}}
{"time":"2026-11-23T07:00:03Z","target":"t","incident":"t-1","healer":"H","step":"thaw","decided":false,"data":{}}
{"time":"2026-11-23T07:00:04Z","target":"t","incident":"t-1","healer":"H","step":"verify","decided":false,"data":{"healed":true,"left":0,"respawned":1,"why":"the user has 1 new processes"}}
{"time":"2026-11-23T07:00:05Z","target":"t","incident":"t-1","healer":"H","step":"end","decided":false,"data":{"attempts":1,"frozen_ns":7,"killed":200,"result":"healed","took_ns":4}}
`

func TestLedger(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	const old = `{"target":"t","incident":"t-0","step":"end","data":{"result":"healed"}}` + "\n"
	if err := os.WriteFile(path, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := NewLedger(path, "t")
	if err != nil {
		t.Fatal(err)
	}
	// A line that is half written is left for the next read.
	for cut := 0; cut < len(lines); cut += 97 {
		if err := os.WriteFile(path, []byte(old+lines[:cut]), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := l.Read(); err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if len(l.Ended()) > 0 {
			t.Fatalf("an incident has ended at %d of %d", cut, len(lines))
		}
	}
	if err := os.WriteFile(path, []byte(old+lines), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.Read(); err != nil {
		t.Fatal(err)
	}
	at := func(s int) time.Time { return time.Date(2026, 11, 23, 7, 0, s, 0, time.UTC) }
	want := []Incident{{
		ID: "t-1", Healer: "H", Result: "healed", Why: "the user has 1 new processes", Began: at(1), Diagnosed: at(2), Repaired: at(3), Ended: at(5),
		Attempts: 1, Killed: 200, Rounds: 1, Frozen: 7, Walk: 5, Reads: 900, Batches: 14, Users: []uint32{65534},
	}}
	if diff := cmp.Diff(want, l.Ended()); diff != "" {
		t.Error(diff)
	}
	if l.Kills != 1 {
		t.Errorf("%d decisions to kill, want 1", l.Kills)
	}
}

func TestLedgerOfNothing(t *testing.T) {
	l, err := NewLedger(filepath.Join(t.TempDir(), "none"), "t")
	if err != nil || l.offset != 0 {
		t.Fatalf("%v, offset %d", err, l.offset)
	}
	if err := l.Read(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a log that is not there: %v", err)
	}
}

// What a drill writes for bdmon is what bdmon understands.
func TestHealerIsTheDrills(t *testing.T) {
	h := healer(lab.Config{}, drill.ByName("combined"))
	limits := h["policy"].(map[string]any)["all"].([]any)
	if len(limits) != 2 || h["kind"] != "proc" {
		t.Fatalf("%v", h)
	}
	for i, k := range []policy.Kind{policy.PolicyTooManyProcs, policy.PolicyRateTooHigh} {
		if limits[i].(map[string]any)[k.String()] == nil {
			t.Errorf("limit %d: %v", i, limits[i])
		}
	}
}
