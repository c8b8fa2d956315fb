// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"testing"
	"time"
)

// §3.7.2, sentence by sentence, in our words.

func procs(uid uint32, first int32, n int, each Process) []Process {
	all := make([]Process, n)
	for i := range all {
		all[i] = each
		all[i].UID, all[i].EUID, all[i].PID = uid, uid, first+int32(i)
		all[i].MM = uint64(first) + uint64(i)
		if all[i].PPID == 0 {
			all[i].PPID = 1
		}
	}
	return all
}

func join(groups ...[]Process) Table {
	t := Table{Now: time.Hour}
	for _, g := range groups {
		t.Processes = append(t.Processes, g...)
	}
	return t
}

func accused(t *testing.T, d Diagnosis) uint32 {
	t.Helper()
	if len(d.Culprits) == 0 {
		t.Fatalf("nobody accused: %v", d.Notes)
	}
	return d.Culprits[0].UID
}

// "the user with the largest number of processes" is the culprit.
func TestPaperTooManyProcs(t *testing.T) {
	table := join(procs(1001, 1000, 120, Process{}), procs(1002, 2000, 121, Process{}), procs(1003, 3000, 5, Process{}))
	if uid := accused(t, Diagnose(table, Basic{PolicyTooManyProcs, 100}, Spare{})); uid != 1002 {
		t.Errorf("accused uid %d, want the one with most processes", uid)
	}
}

// "creates processes at a rate higher than the threshold": short-lived
// processes at a high rate do not escape by staying under the limit of number.
func TestPaperRateTooHigh(t *testing.T) {
	table := join(procs(1001, 1000, 3, Process{}), procs(1002, 2000, 90, Process{}))
	table.Forks = map[uint32]float64{1001: 300, 1002: 10}
	if d := Diagnose(table, Basic{PolicyTooManyProcs, 100}, Spare{}); len(d.Culprits) != 0 {
		t.Errorf("the limit of number found %v", d.Findings)
	}
	if uid := accused(t, Diagnose(table, Basic{PolicyRateTooHigh, 100}, Spare{})); uid != 1001 {
		t.Errorf("accused uid %d, want the fast one", uid)
	}
}

// "The child of a process at depth n is defined to have depth n + 1", and the
// user with the maximum depth is the culprit.
func TestPaperTreeTooDeep(t *testing.T) {
	chain := procs(1001, 1000, 40, Process{})
	for i := range chain[1:] {
		chain[i+1].PPID = chain[i].PID
	}
	wide := procs(1002, 2000, 200, Process{PPID: 1999})
	v := newView(join(chain, wide), Spare{})
	for i := range chain {
		if v.depth[i] != i+1 {
			t.Fatalf("depth of link %d is %d", i, v.depth[i])
		}
	}
	if uid := accused(t, Diagnose(join(chain, wide), Basic{PolicyTreeTooDeep, 32}, Spare{})); uid != 1001 {
		t.Errorf("accused uid %d, want the deep one", uid)
	}
}

// "to terminate all processes owned by the user found to be the culprit".
func TestPaperAllProcessesOfTheUser(t *testing.T) {
	table := join(procs(1001, 1000, 120, Process{Comm: "bomb"}), procs(1001, 5000, 3, Process{Comm: "shell"}))
	if d := Diagnose(table, Basic{PolicyTooManyProcs, 100}, Spare{}); len(d.Culprits) != 123 {
		t.Errorf("%d culprits, want all 123 of the user", len(d.Culprits))
	}
}

// POLICY_MAX_RSS: "the process with the largest memory footprint", as the
// local handler does, and that process alone.
func TestPaperMaxRSS(t *testing.T) {
	table := join(procs(1001, 1000, 30, Process{RSS: 10}), procs(1002, 2000, 1, Process{RSS: 40}))
	d := Diagnose(table, Basic{PolicyMaxRSS, 20}, Spare{})
	if len(d.Culprits) != 1 || d.Culprits[0].PID != 2000 {
		t.Errorf("culprits %v, want the largest process alone", d.Culprits)
	}
}

// POLICY_MAX_RSSUID: processes are classed by user; the one whose processes
// together have most memory is the culprit, with all of them.
func TestPaperMaxRSSUID(t *testing.T) {
	table := join(procs(1001, 1000, 30, Process{RSS: 10}), procs(1002, 2000, 1, Process{RSS: 40}))
	d := Diagnose(table, Basic{PolicyMaxRSSUID, 20}, Spare{})
	if len(d.Culprits) != 30 || accused(t, d) != 1001 {
		t.Errorf("%d culprits of uid %d, want all 30 of 1001", len(d.Culprits), d.Culprits[0].UID)
	}
}

// POLICY_MAX_RSSUID_SAVEUID: users in the list "are filtered out from the
// process table before applying" the former.
func TestPaperMaxRSSUIDSaveUID(t *testing.T) {
	table := join(procs(26, 1000, 10, Process{RSS: 100}), procs(1002, 2000, 5, Process{RSS: 100}))
	spare := Spare{UIDs: []uint32{26}}
	if d := Diagnose(table, Basic{PolicyMaxRSSUID, 20}, spare); len(d.Culprits) != 0 {
		t.Errorf("the plain policy went past a spared largest user: %v", d.Findings)
	}
	if uid := accused(t, Diagnose(table, Basic{PolicyMaxRSSUIDSaveUID, 20}, spare)); uid != 1002 {
		t.Errorf("accused uid %d, want the largest that is not in the list", uid)
	}
}

// "(which can be combined to define more complex policies)".
func TestPaperCombined(t *testing.T) {
	table := join(procs(1001, 1000, 150, Process{}), procs(1002, 2000, 120, Process{}))
	table.Forks = map[uint32]float64{1002: 200}
	both := All(Basic{PolicyTooManyProcs, 100}, Basic{PolicyRateTooHigh, 100})
	if uid := accused(t, Diagnose(table, both, Spare{})); uid != 1002 {
		t.Errorf("accused uid %d, want the one above both limits", uid)
	}
}
