// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"fmt"
	"testing"
)

// Where one node wants checkpoints at a barrier, all are told there, once.
func TestWantedTogether(t *testing.T) {
	for _, nodes := range []int{1, 2, 3, 9, 21} {
		progs := make([][]instr, nodes)
		for i := range progs {
			progs[i] = []instr{op(Barrier, 1), op(Barrier, 2), op(Barrier, 3)}
		}
		for who := range nodes {
			p := &paper{T: t, world: newWorld(Config{Nodes: nodes, Pages: 1, PageSize: 8}, 1, progs...)}
			for barrier, want := range []int{0, 1, 1} {
				if barrier == 1 {
					p.step(p.procs[who], Want{})
				}
				for _, q := range p.procs {
					p.run(q)
					p.settle()
				}
				p.ok()
				for _, q := range p.procs {
					if q.due != want || q.waits {
						t.Errorf("%d nodes, %d wants: %v is told %d times after %d barriers, waits %v", nodes, who, q.id, q.due, barrier+1, q.waits)
					}
				}
			}
		}
	}
}

// From eight nodes on barriers are a tree: nobody hears more nodes than its fanout, and
// each is told once.
func TestBarrierTree(t *testing.T) {
	for nodes, most := range map[int]int{1: 0, 2: 1, 7: 6, 8: 4, 9: 4, 21: 4, 64: 4} {
		progs := make([][]instr, nodes)
		for i := range progs {
			progs[i] = []instr{op(Barrier, 3), op(Barrier, 4)}
		}
		p := &paper{T: t, world: newWorld(Config{Nodes: nodes, Pages: 1, PageSize: 8}, 1, progs...)}
		for barrier := range 2 {
			p.heard = nil
			for _, q := range p.procs {
				p.run(q)
				p.settle()
			}
			p.ok()
			arrivals, told := map[NodeID]int{}, 0
			for _, m := range p.heard {
				switch m.Body.(type) {
				case BarrierArrive:
					arrivals[m.To]++
				case BarrierRelease:
					told++
				}
			}
			widest := 0
			for _, n := range arrivals {
				widest = max(widest, n)
			}
			if widest != most || told != nodes-1 || len(p.heard) != 2*told {
				t.Errorf("%d nodes, barrier %d: one hears %d, %d are told, %s", nodes, barrier, widest, told, fmt.Sprint(len(p.heard), " messages"))
			}
		}
	}
}
