// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"fmt"
	"slices"
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

// The root of barriers is lost when it has ended one and gone on. Who is to pass the end
// on has not heard of it, and the next in the tree knows all the same that the root is
// behind it: that has asked for a lock. So the root replays a barrier that no log has.
func TestBarrierEndsWithItsRoot(t *testing.T) {
	prog := func(me int) []instr {
		return slices.Concat([]instr{write(me, me+1), op(Barrier, 0), read(1), read(2)}, section(2, add(8, me+1)), []instr{op(Barrier, 1), read(0), read(1), read(2), read(8), op(Barrier, 2)})
	}
	for _, shelves := range []bool{false, true} {
		w := newWorld(Config{Nodes: 3, Pages: 2, PageSize: 16, Locks: 3, Fanout: 1, Shelves: shelves}, 1, prog(0), prog(1), prog(2))
		for w.anythingBut(func(m *Message) bool { _, end := m.Body.(BarrierRelease); return end }) {
		}
		root, last := w.procs[0].n, w.procs[2].n
		if root.bar.number != 1 || w.procs[1].n.bar.number != 0 || last.bar.number != 0 || last.peers[0].ordinal < 2 {
			t.Fatalf("the root has ended %d barriers, and is known to be at operation %d", root.bar.number, last.peers[0].ordinal)
		}
		w.choose(choice{"crash", 0, 0}) // with what it has sent
		w.schedule(chances{run: 50})
		verdict(t, w, 1)
	}
}

// anythingBut lets all go on but messages that are held back, and is false when there is
// nothing else.
func (w *world) anythingBut(held func(*Message) bool) (some bool) {
	for _, p := range w.procs {
		if !p.waits && p.pc < len(p.prog) {
			w.run(p)
			some = true
		}
	}
	if i := slices.IndexFunc(w.net, func(m *Message) bool { return !held(m) }); i >= 0 {
		w.deliver(i, false)
		return true
	}
	if len(w.looks) > 0 {
		w.answer(0, true)
		return true
	}
	return some
}
