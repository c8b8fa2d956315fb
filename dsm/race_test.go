// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A byte that two nodes write without order is told of, by its home: whoever that is, and
// whether writes are faults or found by a scan; unless the one's write was gone before its
// interval ended. With order, or in another byte, it is not. (That no program without races is told of one, all litmus tests ask, with losses too.)
func TestRace(t *testing.T) {
	bar := op(Barrier, 0)
	for _, tc := range []struct {
		what   string
		p0, p1 []instr
		race   bool
	}{
		{"the same byte", []instr{write(3, 7), bar}, []instr{write(3, 8), bar}, true},
		{"one with a lock", slices.Concat(section(0, write(3, 7)), []instr{bar}), []instr{write(3, 8), bar}, true},
		{"two locks", slices.Concat(section(0, write(3, 7)), []instr{bar}), slices.Concat(section(1, write(3, 8)), []instr{bar}), true},
		{"its neighbour", []instr{write(3, 7), bar}, []instr{write(4, 8), bar}, false},
		{"one lock", slices.Concat(section(0, write(3, 7)), []instr{bar}), slices.Concat(section(0, write(3, 8)), []instr{bar}), false},
		{"a barrier", []instr{write(3, 7), bar, bar}, []instr{bar, write(3, 8), bar}, false},
	} {
		for home := range NodeID(3) {
			found := 0
			for seed := range uint64(20) {
				cfg := Config{Nodes: 3, Pages: 1, PageSize: 16, Locks: 3, Races: true, Home: func(Page) (NodeID, bool) { return home, true }}
				idle := slices.DeleteFunc(slices.Clone(tc.p0), func(i instr) bool { return i.kind != kOp || i.op.Kind != Barrier })
				w := newScanning(cfg, seed%2 == 0, seed, tc.p0, tc.p1, idle)
				w.schedule(chances{double: 50, run: 20 + int(seed)*3})
				want := fmt.Sprintf("%v: a data race: {Page:0 Off:3 One:P", home)
				switch told := len(w.broken) == 1 && strings.HasPrefix(w.broken[0], want); {
				case told && tc.race:
					found++
				case len(w.broken) > 0:
					t.Errorf("%s, home %v, seed %d: %v", tc.what, home, seed, w.broken)
				}
			}
			if tc.race && found < 10 {
				t.Errorf("%s, home %v: found in %d of 20 runs", tc.what, home, found)
			}
		}
	}
}
