// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"lazystate/dsm/vtime"
)

// turns is a program whose nodes take turns: each sleeps until the counter says
// that it is its turn.
func turns(me, nodes, rounds, lock int, wake OpKind) []instr {
	var p program
	for r := range rounds {
		p.await(lock, me%2, 0, r*nodes+me)
		p.add(add(0, 1), add(9+me, 3), read(9+(me+1)%nodes))
		p.add(op(wake, 0), op(wake, 1), op(Release, lock))
	}
	p.add(op(Barrier, 0))
	for b := range 9 + nodes {
		p.add(read(b))
	}
	p.add(op(Barrier, 1))
	return p.code
}

func drawTurns(seed uint64, wake OpKind) *world {
	rng := rand.New(rand.NewPCG(seed, 2))
	nodes := 2 + rng.IntN(3)
	if wake == Signal {
		nodes = 2 // one sleeper at most, so one signal is enough
	}
	cfg := Config{Nodes: nodes, Pages: 2, PageSize: 8, Locks: 3, Conds: 2}
	var progs [][]instr
	lock, rounds := rng.IntN(3), 1+rng.IntN(4)
	for i := range nodes {
		progs = append(progs, turns(i, nodes, rounds, lock, wake))
	}
	return newWorld(cfg, seed, progs...)
}

// No wake-up is lost, whoever is.
func TestConditions(t *testing.T) {
	for _, wake := range []OpKind{Signal, Broadcast} {
		t.Run(wake.String(), func(t *testing.T) {
			seeds(t, 300, func(t *testing.T, seed uint64) {
				w := drawTurns(seed, wake)
				c := chances{double: 50, run: 20 + int(seed%60), audit: true}
				if seed%3 > 0 {
					c.crash, c.crashes = 8, 3
				}
				if seed%2 > 0 {
					c.checkpoint, c.collect = 60, 100
				}
				w.schedule(c)
				verdict(t, w, seed)
			})
		})
	}
}

// With two nodes lost at once there is no end, but a clear word, and no wrong
// read before it. With the second after the first has recovered there is one.
func TestTwoFailures(t *testing.T) {
	refused := 0
	book := seeds(t, 300, func(t *testing.T, seed uint64) {
		w, _ := drawLitmus(seed)
		c := chances{double: 50, run: 20 + int(seed%60), checkpoint: 60, collect: 100}
		for range 5 + w.rng.IntN(300) {
			if !w.finished() && !w.fate(c) {
				w.anything(c)
			}
		}
		if w.finished() || len(w.broken) > 0 {
			return
		}
		a := w.procs[w.rng.IntN(len(w.procs))]
		b := w.procs[(int(a.id)+1+w.rng.IntN(len(w.procs)-1))%len(w.procs)]
		w.crash(a)
		if w.rng.IntN(2) == 0 {
			w.restart(a) // and b is lost before it has recovered
			for range w.rng.IntN(12) {
				w.anything(c)
			}
		}
		if a.up && a.n.Live() {
			return
		}
		w.crash(b)
		if a.up {
			w.step(a, Down{b.id})
		}
		w.schedule(c)
		if len(w.broken) == 0 || !strings.Contains(w.broken[0], "two nodes have failed at once") {
			t.Fatalf("seed %d: %v and %v were lost, and: %v\n%s", seed, a.id, b.id, w.broken, w.tell())
		}
		refused++
	})
	book.Add("refused", refused)
	if refused < 50 {
		t.Errorf("only %d worlds were refused", refused)
	}
}

// Who restarts from an older checkpoint than others were told of, because the
// last cannot be read, is refused. If nobody was told it recovers.
func TestLastCheckpointUnreadable(t *testing.T) {
	refused, recovered := 0, 0
	book := seeds(t, 200, func(t *testing.T, seed uint64) {
		w, _ := drawLitmus(seed)
		c := chances{double: 50, run: 20 + int(seed%60), checkpoint: 60, collect: 100}
		for range 5 + w.rng.IntN(300) {
			if !w.finished() && !w.fate(c) {
				w.anything(c)
			}
		}
		p := w.procs[w.rng.IntN(len(w.procs))]
		if w.finished() || len(p.disk) == 0 {
			return
		}
		w.crash(p)
		p.disk = p.disk[:len(p.disk)-1]
		w.schedule(c)
		switch {
		case len(w.broken) == 0:
			recovered++
		case strings.Contains(w.broken[0], "is too old"):
			refused++
		default:
			verdict(t, w, seed)
		}
	})
	book.Add("refused", refused)
	book.Add("recovered", recovered)
	if refused < 10 || recovered < 1 {
		t.Errorf("%d refused, %d recovered", refused, recovered)
	}
}

// A home that cannot read its copy of a page says so, and the recovery that needs
// it ends with that word: it makes no page of anything else.
func TestCopyUnreadable(t *testing.T) {
	refused, recovered := 0, 0
	book := seeds(t, 300, func(t *testing.T, seed uint64) {
		w, _ := drawLitmus(seed)
		c := chances{double: 50, run: 20 + int(seed%60), checkpoint: 60, collect: 100}
		for range 5 + w.rng.IntN(300) {
			if !w.finished() && !w.fate(c) {
				w.anything(c)
			}
		}
		if w.finished() {
			return
		}
		for _, p := range w.procs {
			p.blind = true
		}
		w.crash(w.procs[w.rng.IntN(len(w.procs))])
		w.schedule(c)
		switch {
		case len(w.broken) == 0:
			recovered++
		case strings.Contains(w.broken[0], "cannot be read: the disk is blind"):
			refused++
		default:
			verdict(t, w, seed)
		}
	})
	book.Add("refused", refused)
	book.Add("recovered", recovered)
	if refused < 4 || recovered < 10 {
		t.Errorf("%d refused, %d recovered", refused, recovered)
	}
}

// A program that does not repeat itself is told so: by which lock it takes where it had
// another from elsewhere, by an operation of another kind there, by a lock that it gives
// back and has not.
func TestProgramThatDoesNotRepeatItself(t *testing.T) {
	for _, now := range []Op{{Kind: Acquire, ID: 0}, {Kind: Barrier, ID: 1}, {Kind: Signal}, {Kind: Release, ID: 1}, {Kind: Release, ID: 0}} {
		w := newWorld(Config{Nodes: 2, Pages: 1, PageSize: 8, Locks: 2, Conds: 1}, 1,
			append(section(1, add(0, 1)), op(Barrier, 0)), append(section(1, add(0, 2)), op(Barrier, 0)))
		for w.procs[0].pc == 0 { // until it has the lock from node 1
			w.anything(chances{run: 50})
		}
		w.crash(w.procs[0])
		w.procs[0].prog = append([]instr{{op: now}}, w.procs[0].prog[1:]...)
		w.restart(w.procs[0])
		for range 1000 {
			w.anything(chances{run: 50})
		}
		if len(w.broken) == 0 || !strings.Contains(w.broken[0], "does not repeat itself") {
			t.Errorf("%v: %v", now, w.broken)
		}
	}
	w := newWorld(Config{Nodes: 2, Pages: 1, PageSize: 8, Locks: 4}, 1, slices.Concat(section(0), section(1), section(0)), section(2))
	for w.procs[0].pc < 4 { // it has had a lock from node 1
		w.anything(chances{run: 50})
	}
	w.crash(w.procs[0])
	w.procs[0].prog = append([]instr{op(Release, 0)}, w.procs[0].prog[1:]...)
	w.restart(w.procs[0])
	for range 1000 {
		w.anything(chances{run: 50})
	}
	if len(w.broken) == 0 || !strings.Contains(w.broken[0], "does not hold that: it does not repeat itself") {
		t.Errorf("a lock that is given back and was not taken: %v", w.broken)
	}
}

// A home that writes a byte and takes that back in one interval has no diff of
// it. Who fetched the page in between must not have seen it.
func TestHomeTakesAWriteBack(t *testing.T) {
	for _, scans := range []bool{false, true} {
		p := newPaper(t, nil, append([]instr{read(5)}, section(lockL, read(3))...), section(lockL, add(3, 1), add(3, 255)))
		p.world = newScanning(p.cfg, scans, 1, p.procs[pj].prog, p.procs[pi].prog, p.procs[home].prog)
		p.does(home, 2)
		p.does(pi, 1)
		p.does(home, 2)
		p.does(pi, 2)
	}
}

// What programs must not do is refused with a reason.
func TestMisuse(t *testing.T) {
	for _, tc := range []struct {
		why string
		ins []Input
	}{
		{"does not hold", []Input{Begin{Op{Kind: Release, ID: 0}}}},
		{"lock 9 of 2", []Input{Begin{Op{Kind: Acquire, ID: 9}}}},
		{"which the program holds", []Input{Begin{Op{Kind: Acquire}}, Begin{Op{Kind: Acquire}}}},
		{"page 7 of 1", []Input{Fault{Page: 7}}},
		{"condition 5 of 1", []Input{Begin{Op{Kind: Signal, ID: 5}}}},
		{"without having entered", []Input{Begin{Op{Kind: CondSleep}}}},
		{"in the midst", []Input{Begin{Op{Kind: Barrier}}, Checkpoint{}}},
		{"in the midst", []Input{Begin{Op{Kind: Barrier}}, Fault{Page: 0}}},
		{"page 3 of 1", []Input{Begin{Op{Kind: Place, ID: 3}}}},
		{"node 2 of 2", []Input{Begin{Op{Kind: Place, Node: 2}}}},
		{"kind 8(0): there is no such", []Input{Begin{Op{Kind: Place + 1}}}},
	} {
		cfg := Config{Nodes: 2, Pages: 1, PageSize: 8, Locks: 2, Conds: 1}
		n := New(cfg, newMemory(cfg))
		var last []Effect
		for _, in := range tc.ins {
			last = n.Step(in)
		}
		if len(last) == 0 {
			t.Errorf("%+v: nothing", tc.ins)
			continue
		}
		if r, ok := last[len(last)-1].(Refuse); !ok || !strings.Contains(r.Err.Error(), tc.why) {
			t.Errorf("%+v: %+v", tc.ins, last)
		}
	}
}

// A node that finds in the midst of a step that it cannot go on sends nothing
// after that: here a token without the notices that belong to it.
func TestNothingFollowsARefusal(t *testing.T) {
	cfg := Config{Nodes: 2, Pages: 1, PageSize: 8, Locks: 1}
	n := New(cfg, newMemory(cfg))
	n.t[0] = 3 // three intervals, and no notice of them is kept
	effects := n.Step(Deliver{&Message{From: 1, To: 0, FromInc: 1, ToInc: 1, Seq: 1, Body: LockReq{Ordinal: 1, T: vtime.New(2)}}})
	if len(effects) == 0 {
		t.Fatal("nothing")
	}
	if r, ok := effects[len(effects)-1].(Refuse); !ok || !strings.Contains(r.Err.Error(), "asked for and not kept") {
		t.Errorf("%+v", effects)
	}
	for _, e := range effects {
		if s, ok := e.(Send); ok {
			t.Errorf("sent all the same: %+v", s.Body)
		}
	}
}

// The token is asked for at each point of the holder's program, and the holder
// is lost at each point behind that: wherever the interval ended the first time,
// the replay's intervals are such that nobody can tell.
func TestRequestTimingAroundACrash(t *testing.T) {
	const a, b, c = 0, 8, 16 // pages homed at nodes 0, 1, 2
	holder := append(section(0, add(a, 1), add(b, 1)), write(b+1, 5), write(c+1, 6), add(b+2, 7))
	holder = append(holder, section(1, add(c, 1), add(c+3, 2))...)
	holder = append(holder, write(a+1, 8), write(b+3, 1), add(c+2, 9), op(Barrier, 0), read(a), read(b), read(c), op(Barrier, 1))
	asker := append(section(0, add(a, 2), add(b, 4)), section(1, add(c, 8), read(c+3))...)
	asker = append(asker, op(Barrier, 0), read(a+1), read(b+1), read(b+2), read(c+1), read(c+2), op(Barrier, 1))
	idle := []instr{op(Barrier, 0), read(c), op(Barrier, 1)}
	end := len(holder) - 5
	for ask := 1; ask <= end; ask++ {
		for lost := ask; lost <= end; lost++ {
			for seed := range uint64(4) {
				cfg := Config{Nodes: 3, Pages: 3, PageSize: 8, Locks: 2, Home: func(p Page) (NodeID, bool) { return NodeID(p), true }}
				p := &paper{T: t, world: newWorld(cfg, seed, holder, asker, idle)}
				p.does(0, ask)
				p.run(p.procs[1])
				if p.settle(); !p.procs[1].waits {
					p.run(p.procs[1])
				}
				for q := p.procs[0]; q.pc < lost && !q.waits; {
					p.run(q)
					for range seed { // the other one comes along, more or less
						if p.settle(); !p.procs[1].waits && p.procs[1].pc < len(asker)-1 {
							p.run(p.procs[1])
						}
					}
				}
				p.crash(p.procs[0])
				p.schedule(chances{run: 50})
				if len(p.broken) > 0 {
					t.Fatalf("asked at %d, lost at %d, seed %d: %s", ask, lost, seed, p.broken[0])
				}
			}
		}
	}
}
