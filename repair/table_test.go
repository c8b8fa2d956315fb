// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"testing"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
)

func TestProcessTable(t *testing.T) {
	m := newSick(t)
	p := m.target.AddProcess(bdtest.Proc{UID: 1001, Comm: "x", Anon: 10, File: 5, Swap: 20, PgTables: 8192, UTime: 30, STime: 12, Threads: 3, StartTime: 1 << 63})
	m.target.SetUIDs(uapi.UID{UID: 1001, ForksPerS: 77})
	table, err := m.patient.ProcessTable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range table.Processes {
		if int(q.PID) != p.PID {
			continue
		}
		if q.Footprint() != (10+5+20)*4096+8192 || q.CPU < 42 || q.Threads != 3 || uint64(q.Start) != 1<<63 || q.UID != 1001 {
			t.Errorf("process %+v", q)
		}
		if table.Forks[1001] != 77 || table.Stats.Reads == 0 {
			t.Errorf("forks %v, stats %+v", table.Forks, table.Stats)
		}
		return
	}
	t.Fatalf("pid %d is not in the table", p.PID)
}

func TestStateOfAProcess(t *testing.T) {
	for _, c := range []struct {
		task backdoor.Task
		want byte
	}{
		{backdoor.Task{State: 0, Live: 1}, 'R'},
		{backdoor.Task{State: 1, Live: 1}, 'S'},
		{backdoor.Task{State: 2, Live: 1}, 'D'},
		{backdoor.Task{State: 0x402, Live: 1}, 'I'},
		{backdoor.Task{State: 4, Live: 1}, 'T'},
		{backdoor.Task{State: 0x80, ExitState: 0x20}, 'Z'},
		{backdoor.Task{State: 0, ExitState: 0x20, Live: 2}, 'S'},
		{backdoor.Task{State: 1 << 31, Live: 1}, 'R'}, // nonsense is bounded
	} {
		if got := stateOf(&c.task); got != c.want {
			t.Errorf("state %#x exit %#x live %d: %c, want %c", c.task.State, c.task.ExitState, c.task.Live, got, c.want)
		}
	}
}

func FuzzDecodeCensus(f *testing.F) {
	u := uapi.UIDs{Magic: uapi.UIDsMagic, Count: 3}
	f.Add(u.Encode())
	u.Count = 1 << 31
	f.Add(u.Encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		u, err := decodeCensus("t", b)
		if err == nil && int(u.Count) > len(u.UID) {
			t.Fatalf("count %d", u.Count)
		}
	})
}
