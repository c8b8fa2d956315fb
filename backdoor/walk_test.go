// SPDX-License-Identifier: Apache-2.0

package backdoor_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
)

func walk(t *testing.T, bt *backdoor.Target, via backdoor.Via) *backdoor.TaskList {
	t.Helper()
	list, err := bt.Tasks(t.Context(), backdoor.WalkOptions{Via: via})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// populate adds n processes, every third of them with its own memory figures.
func populate(target *bdtest.Target, n int) {
	for i := range n {
		target.AddProcess(bdtest.Proc{UID: uint32(1000 + i%7), Comm: fmt.Sprintf("p%d", i), Anon: uint64(i), Swap: uint64(i % 3)})
	}
}

// DECISION 20: at most 4N + N/32 + 16 reads in at most N/16 + 16 batches.
func TestWalkBudget(t *testing.T) {
	for _, n := range []int{0, 1, 50, 1500} {
		for _, rss := range []bdtest.RSS{bdtest.RSSPlain, bdtest.RSSPerCPU} {
			target := bdtest.New(bdtest.WithRSS(rss))
			populate(target, n)
			list := walk(t, open(t, target), backdoor.ViaIDR)
			if len(list.Tasks) != n+1 || list.Seen != n+1 || list.Torn != 0 {
				t.Fatalf("%d processes: %d tasks, %d seen, %d torn", n+1, len(list.Tasks), list.Seen, list.Torn)
			}
			seen := uint64(list.Seen)
			reads, batches := 4*seen+seen/32+16, seen/16+16
			if list.Stats.Reads > reads || list.Stats.Batches > batches {
				t.Errorf("N=%d: %d reads of %d, %d batches of %d", seen, list.Stats.Reads, reads, list.Stats.Batches, batches)
			}
			t.Logf("N=%d rss=%d: %d reads, %d batches, %d bytes", seen, rss, list.Stats.Reads, list.Stats.Batches, list.Stats.Bytes)
		}
	}
}

// The list is the cross-check: both ways give one process table.
func TestListAgreesWithIDR(t *testing.T) {
	target := bdtest.New(bdtest.WithRSS(bdtest.RSSPerCPU), bdtest.WithLevels(5))
	populate(target, 100)
	target.AddProcess(bdtest.Proc{UID: 7, Comm: "threads", Threads: 5, Anon: 77})
	target.AddProcess(bdtest.Proc{UID: 7, Comm: "dead leader", Threads: 3, Zombie: true, Anon: 9})
	target.AddProcess(bdtest.Proc{UID: 7, Comm: "zombie", Zombie: true})
	target.AddProcess(bdtest.Proc{KThread: true, Comm: "kworker/0:1"})
	target.AddProcess(bdtest.Proc{PID: 70000, UID: 8, Comm: "far away"})
	target.AddProcess(bdtest.Proc{PPID: 70000, UID: 8, EUID: 0, SetUID: true, Comm: "child"})
	bt := open(t, target)
	byIDR, byList := walk(t, bt, backdoor.ViaIDR), walk(t, bt, backdoor.ViaList)
	// The list does not see threads: their times, and the memory that only they still name.
	ignore := cmpopts.IgnoreFields(backdoor.Task{}, "NSPID", "MM", "File", "Anon", "Shmem", "Swap", "RSSError", "PgTables")
	if d := cmp.Diff(byIDR.Tasks, byList.Tasks, ignore); d != "" {
		t.Errorf("idr (-), list (+):\n%s", d)
	}
	if byList.Stats.Batches != byList.Stats.Reads {
		t.Errorf("list walk: %d reads in %d batches", byList.Stats.Reads, byList.Stats.Batches)
	}
}

func TestTaskFields(t *testing.T) {
	for _, rss := range []bdtest.RSS{bdtest.RSSPlain, bdtest.RSSPerCPU} {
		target := bdtest.New(bdtest.WithRSS(rss))
		parent := target.AddProcess(bdtest.Proc{UID: 5, Comm: "parent"})
		p := target.AddProcess(bdtest.Proc{
			PPID: parent.PID, UID: 1000, EUID: 0, SetUID: true, Comm: "evil\x1b[2J\n", State: 2, StartTime: 123, UTime: 10, STime: 4,
			File: 1, Anon: 2, Shmem: 3, Swap: 4, PgTables: 8192, Threads: 3,
		})
		var got backdoor.Task
		for _, task := range walk(t, open(t, target), backdoor.ViaIDR).Tasks {
			if task.PID == int32(p.PID) {
				got = task
			}
		}
		want := backdoor.Task{
			Addr: target.TaskAddr(p.PID), PID: int32(p.PID), PPID: int32(parent.PID), UID: 1000, Comm: "evil\x1b[2J\n", State: 2,
			StartTime: 123, UTime: 30, STime: 12, RealParent: target.TaskAddr(parent.PID), MM: got.MM,
			File: 1, Anon: 2, Shmem: 3, Swap: 4, PgTables: 8192, Threads: 3, Live: 3, NSPID: int32(p.PID), RSSError: 3 * 64,
		}
		if rss == bdtest.RSSPerCPU {
			want.RSSError = 2 * 32
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("rss form %d: want (-), got (+):\n%s", rss, d)
		}
		if got.RSS() != 6 || got.Footprint() != 12 || got.KThread() {
			t.Errorf("rss %d, footprint %d, kthread %v", got.RSS(), got.Footprint(), got.KThread())
		}
	}
}

// A target that dies, reboots or unloads in the middle of a walk never yields
// a process table, whatever the operation at which it does.
func TestWalkNeverMixesMachines(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(*bdtest.Target)
		want error
	}{
		"reboot":    {(*bdtest.Target).Reboot, backdoor.ErrReplaced},
		"withdraw":  {(*bdtest.Target).Withdraw, backdoor.ErrWithdrawn},
		"power off": {(*bdtest.Target).PowerOff, backdoor.ErrGone},
	} {
		for at := 0; ; at++ {
			target := bdtest.New()
			populate(target, 3)
			bt := open(t, target)
			start, hit := target.Memory().Ops(), false
			target.Memory().Before(func(i int, _ *backdoor.Op) error {
				if i == start+at {
					c.do(target)
					hit = true
				}
				return nil
			})
			_, err := bt.Tasks(t.Context(), backdoor.WalkOptions{})
			if !hit {
				break // every operation of the walk had its turn
			}
			if !errors.Is(err, c.want) {
				t.Errorf("%s at operation %d: %v, want %v", name, at, err, c.want)
			}
		}
	}
}

// A kernel without processes is none: its image was written anew by a reset.
func TestWalkOfNothing(t *testing.T) {
	target := bdtest.New()
	bt := open(t, target)
	target.Poke64(target.IDRHead(), 0)
	var corrupt *backdoor.CorruptError
	if list, err := bt.Tasks(t.Context(), backdoor.WalkOptions{}); !errors.As(err, &corrupt) {
		t.Errorf("%+v, %v", list, err)
	}
}
