// SPDX-License-Identifier: Apache-2.0

package dsm

import "testing"

// A lock whose token is here costs no message.
func BenchmarkCachedLock(b *testing.B) {
	cfg := Config{Nodes: 2, Pages: 16, PageSize: 4096, Locks: 1}
	n := New(cfg, newMemory(cfg))
	b.ReportAllocs()
	for b.Loop() {
		n.Step(Begin{Op{Kind: Acquire}})
		n.Step(Begin{Op{Kind: Release}})
	}
}

// So does one that a program has taken by itself; 512 times at once.
func BenchmarkAlone(b *testing.B) {
	cfg := Config{Nodes: 2, Pages: 16, PageSize: 4096, Locks: 1}
	n := New(cfg, newMemory(cfg))
	n.Step(Begin{Op{Kind: Acquire}})
	n.Step(Begin{Op{Kind: Release}})
	var in Alone
	for range 512 {
		in.Ops = append(in.Ops, Op{Kind: Acquire}, Op{Kind: Release})
	}
	b.ReportAllocs()
	for b.Loop() {
		n.Step(in)
	}
}

// An interval with one page written, homed elsewhere, whose lock goes to the
// other node and comes back.
func BenchmarkPassedLock(b *testing.B) {
	cfg := Config{Nodes: 2, Pages: 1024, PageSize: 4096, Locks: 1, Home: func(Page) (NodeID, bool) { return 1, true }}
	w := newWorld(cfg, 1, nil, nil)
	w.quiet, w.history = true, history{}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p := w.procs[i%2]
		w.do(p, Begin{Op{Kind: Acquire}})
		if p.mem.access[0] < Write {
			w.do(p, Fault{0, true})
		}
		p.mem.pages[0][i%4096]++
		w.do(p, Begin{Op{Kind: Release}})
		if i%64 == 63 {
			for _, q := range w.procs {
				q.atOp = true
				w.perform(q, q.n.Step(Checkpoint{}))
				w.land(q)
				w.perform(q, q.n.Step(Saved{q.landed}))
				q.landed = 0
			}
		}
	}
}

// do gives an input and lets messages come until it is done.
func (w *world) do(p *proc, in Input) {
	p.waits = true
	w.perform(p, p.n.Step(in))
	for p.waits {
		m := w.net[0]
		w.net = w.net[1:]
		w.perform(w.procs[m.To], w.procs[m.To].n.Step(Deliver{m}))
	}
}
