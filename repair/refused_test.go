// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"testing"
	"time"

	"lazystate/backdoor/bdtest"
	"lazystate/sensorbox"
)

// disguise gives processes a start time in memory that the kernel's own books
// do not know: it refuses each of their kills, as it would for a reused pid.
func (m *sick) disguise(procs ...bdtest.Proc) {
	for _, p := range procs {
		start := m.target.TaskAddr(p.PID) + m.target.Offset("task_struct.start_time")
		m.target.Poke64(start, p.StartTime+1)
	}
}

// What the target refuses once it refuses always: one freeze, not sixteen.
func TestRefusedKillsEndTheRounds(t *testing.T) {
	for name, some := range map[string]struct{ refused, rounds int }{"all": {60, 1}, "half": {30, 2}} {
		t.Run(name, inBubble(func(t *testing.T) {
			m := newSick(t)
			var bombs []bdtest.Proc
			for range 60 {
				bombs = append(bombs, m.target.AddProcess(bdtest.Proc{UID: bomber, Comm: "bomb"}))
			}
			m.disguise(bombs[:some.refused]...)
			in := &Incident{ID: "x", Patient: m.patient, Attempt: 1, Events: []sensorbox.Event{m.exceeded()}}
			h := m.healer()
			h.Reaper.Within = 100 * time.Millisecond
			p, err := h.Plan(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			out, err := h.Apply(t.Context(), in, p)
			if err != nil || len(out.Rounds) != some.rounds || out.Killed != 60-some.refused || out.Pending != some.refused {
				t.Errorf("%d rounds, %d killed, %d left, %v", len(out.Rounds), out.Killed, out.Pending, err)
			}
			v, err := h.Verify(t.Context(), in, p, out)
			if err != nil || v.Healed {
				t.Errorf("verdict %+v, %v", v, err)
			}
			m.innocent()
		}))
	}
}
