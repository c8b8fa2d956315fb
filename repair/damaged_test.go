// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// spoilIDR names the damages of a target's tree of pids.
var spoilIDR = map[string]func(*sick){
	"wild head": func(m *sick) { m.target.Poke64(m.target.IDRHead(), 0xffff888fffffff02) },
	"no node":   func(m *sick) { m.target.Poke64(m.target.IDRHead(), 0) },
	"one leaf of several": func(m *sick) {
		root := binary.LittleEndian.Uint64(m.target.Peek(m.target.IDRHead(), 8)) - 2
		m.target.Poke64(root+m.target.Offset("xa_node.slots")+8, 0xffff888fffffff02)
	},
}

// A damaged tree of pids hides nobody: the table is then walked by the list,
// the plan says so, and the bomb is killed.
func TestDamagedTreeIsWalkedByList(t *testing.T) {
	for name, spoil := range spoilIDR {
		t.Run(name, func(t *testing.T) {
			m := newSick(t)
			m.bomb(200)
			m.mu.Lock()
			m.refill = 0 // the synthetic kernel would stumble over its own tree
			m.mu.Unlock()
			spoil(m)
			table, err := m.patient.ProcessTable(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if want := len(m.target.Processes()); len(table.Processes) != want || !strings.Contains(table.Note, "task list") {
				t.Errorf("%d processes of %d, note %q", len(table.Processes), want, table.Note)
			}
			in := &Incident{ID: "x", Patient: m.patient, Attempt: 1}
			p, err := m.healer().Plan(t.Context(), in)
			if err != nil || len(p.Culprits) != 200 || !slices.Contains(p.Notes, table.Note) {
				t.Errorf("%d culprits, notes %q, %v", len(p.Culprits), p.Notes, err)
			}
		})
	}
}

// With the list damaged too nothing is known, which is no "nothing to do".
func TestDamagedTreeAndList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newSick(t)
		m.bomb(60)
		m.target.Poke64(m.target.TaskAddr(0)+m.target.Offset("task_struct.tasks"), 3)
		spoilIDR["wild head"](m)
		if r := m.treat(m.healer(), m.exceeded()); r.Result != Aborted || !strings.Contains(r.Err.Error(), "damaged") {
			t.Errorf("result %v: %v", r.Result, r.Err)
		}
		m.innocent()
	})
}
