// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var (
	anyUID  = rapid.SampledFrom([]uint32{0, 1, 26, 1001, 1002, NoUID})
	anyComm = rapid.SampledFrom([]string{"", "sshd", "bomb", "a b\n{"})
	anyKind = rapid.SampledFrom([]Kind{PolicyTooManyProcs, PolicyRateTooHigh, PolicyTreeTooDeep, PolicyMaxRSS, PolicyMaxRSSUID, PolicyMaxRSSUIDSaveUID})
)

func drawProcess(t *rapid.T) Process {
	p := Process{
		PID:  rapid.Int32Range(-2, 40).Draw(t, "pid"), // few: pids repeat, parents form cycles
		PPID: rapid.Int32Range(-2, 40).Draw(t, "ppid"),
		UID:  anyUID.Draw(t, "uid"), EUID: anyUID.Draw(t, "euid"), Comm: anyComm.Draw(t, "comm"),
		State: rapid.SampledFrom([]byte("RSDZ")).Draw(t, "state"),
		Start: time.Duration(rapid.Int64().Draw(t, "start")), Threads: rapid.IntRange(-1, 50).Draw(t, "threads"),
		MM: rapid.Uint64Range(0, 20).Draw(t, "mm"), RSS: rapid.Uint64().Draw(t, "rss"), Swap: rapid.Uint64().Draw(t, "swap"),
		Kernel: rapid.Bool().Draw(t, "kernel"), Protected: rapid.Float64Range(0, 1).Draw(t, "c") < 0.1,
	}
	return p
}

func drawPolicy(t *rapid.T) Policy {
	basic := rapid.Custom(func(t *rapid.T) Basic {
		return Basic{anyKind.Draw(t, "kind"), rapid.Float64Range(0.5, 1e10).Draw(t, "limit")}
	})
	a, b := basic.Draw(t, "a"), basic.Draw(t, "b")
	switch rapid.IntRange(0, 3).Draw(t, "form") {
	case 0:
		return a
	case 1:
		return All(a, b)
	case 2:
		return Any(a, b)
	}
	a.Kind, b.Kind = PolicyTooManyProcs, PolicyMaxRSSUID
	return Weighted(0.5, Term{1, a}, Term{2, b})
}

// TestCulpritsAreFairGame: whatever the table says, no spared or root process,
// no kernel thread, no init, no process of another than the accused user, and
// no contradictory pid is ever killed; and the answer does not depend on the
// order of the table.
func TestCulpritsAreFairGame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := Table{Processes: rapid.SliceOfN(rapid.Custom(drawProcess), 0, 40).Draw(t, "procs"), Now: time.Hour}
		spare := Spare{UIDs: []uint32{26}, Comms: []Comm{{Name: "sshd", UID: AnyUID, Most: 50}}}
		p := drawPolicy(t)
		d := Diagnose(table, p, spare)
		pids := map[int32]int{}
		for _, q := range table.Processes {
			pids[q.PID]++
		}
		for _, c := range d.Culprits {
			switch {
			case c.UID == 0 || sheltered(table, c) || c.UID == 26 || c.UID == NoUID || c.Comm == "sshd":
				t.Fatalf("culprit is spared: %+v", c)
			case c.Kernel || c.Protected || c.PID <= 1:
				t.Fatalf("culprit is untouchable: %+v", c)
			case c.UID != d.Findings[0].UID || d.Findings[0].PID != 0 && c.PID != d.Findings[0].PID:
				t.Fatalf("culprit %+v is not the accused of %v", c, d.Findings[0])
			case pids[c.PID] != 1:
				t.Fatalf("pid %d appears %d times and is killed", c.PID, pids[c.PID])
			case !c.Alive():
				t.Fatalf("culprit is dead: %+v", c)
			}
		}
		if len(d.Findings) > mostFindings {
			t.Fatalf("%d findings", len(d.Findings))
		}
		checkOrder(t, table, p, spare, d)
	})
}

// checkOrder turns the table round. Shared address spaces belong to the first
// that is read, so tables with them may rank otherwise.
func checkOrder(t *rapid.T, table Table, p Policy, spare Spare, d Diagnosis) {
	mms := map[uint64]bool{}
	for _, q := range table.Processes {
		if q.MM != 0 && mms[q.MM] {
			return
		}
		mms[q.MM] = true
	}
	table.Processes = slices.Clone(table.Processes)
	slices.Reverse(table.Processes)
	if again := Diagnose(table, p, spare); !reflect.DeepEqual(pidsOf(again), pidsOf(d)) {
		t.Fatalf("culprits %v, reversed %v", pidsOf(d), pidsOf(again))
	}
}

// sheltered reports whether effective user 0 protects c: it runs for another
// user, of whom fewer than mostElevated older ones do.
func sheltered(table Table, c Process) bool {
	older := 0
	for _, q := range table.Processes {
		if q.UID == c.UID && q.EUID == 0 && (q.Start < c.Start || q.Start == c.Start && q.PID < c.PID) {
			older++
		}
	}
	return c.EUID == 0 && older < mostElevated
}

func pidsOf(d Diagnosis) []int32 {
	var pids []int32
	for _, c := range d.Culprits {
		pids = append(pids, c.PID)
	}
	return pids
}

// TestOfStaysWithTheAccused: what the repair kills under the lock is of the
// user that was accused before it.
func TestOfStaysWithTheAccused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := Table{Processes: rapid.SliceOfN(rapid.Custom(drawProcess), 0, 40).Draw(t, "procs")}
		f := Finding{UID: anyUID.Draw(t, "accused"), PID: rapid.Int32Range(0, 3).Draw(t, "of")}
		culprits, _ := Of(table, f, Spare{UIDs: []uint32{26}})
		for _, c := range culprits {
			if c.UID != f.UID || c.UID == 0 || sheltered(table, c) || c.UID == 26 || c.Kernel || f.PID != 0 && c.PID != f.PID {
				t.Fatalf("accused %+v, killed %+v", f, c)
			}
		}
	})
}
