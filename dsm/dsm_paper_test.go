// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"testing"

	"lazystate/dsm/vtime"
)

// paper plays a figure: P0 is P_j, P1 is P_i, P2 is H(p); p is page 0. Messages
// come at once and in order.
type paper struct {
	*testing.T
	*world
	heard []*Message // since the last look
}

const (
	pj, pi, home = 0, 1, 2
	lockL, lockM = 0, 2
)

func newPaper(t *testing.T, j, i, h []instr) *paper {
	cfg := Config{Nodes: 3, Pages: 1, PageSize: 16, Locks: 3, Home: func(Page) (NodeID, bool) { return home, true }}
	return &paper{T: t, world: newWorld(cfg, 1, j, i, h)}
}

// does lets a program do so many instructions.
func (p *paper) does(who, instructions int) {
	p.Helper()
	q := p.procs[who]
	for end := q.pc + instructions; q.pc < end; p.settle() {
		if !q.waits {
			p.run(q)
		} else if len(p.net) == 0 {
			p.Fatalf("%v waits: %+v %+v", q.id, q.n.op, q.n.fault)
		}
	}
	p.ok()
}

func (p *paper) settle() {
	for len(p.net) > 0 {
		p.heard = append(p.heard, p.net[0])
		p.deliver(0, false)
	}
}

func (p *paper) ok() {
	p.Helper()
	if len(p.broken) > 0 {
		p.Fatal(p.broken)
	}
}

func (p *paper) checkpoint(who int) {
	q := p.procs[who]
	q.atOp = true
	p.step(q, Checkpoint{})
	p.settle()
	p.land(q)
	p.tellSaved(q)
	p.settle()
}

// lose crashes P_i and lets it replay so many instructions, and more.
func (p *paper) lose(instructions int) {
	p.Helper()
	p.heard = nil
	p.crash(p.procs[pi])
	p.restart(p.procs[pi])
	p.settle()
	p.does(pi, instructions)
	if p.procs[pi].n.Live() {
		p.Fatal("P_i does not replay any more")
	}
}

// body returns the last message of a kind.
func body[B Body](p *paper, from NodeID) B {
	p.Helper()
	for i := len(p.heard) - 1; i >= 0; i-- {
		if b, ok := p.heard[i].Body.(B); ok && p.heard[i].From == from {
			return b
		}
	}
	var none B
	p.Fatalf("no %T of %v", none, from)
	return none
}

// Figure 4.1: the grant has T_j and wn(p), the diff goes to the home and raises
// p.v[j], P_i invalidates p, joins the times, records p.v^N and asks for it.
func TestPaperFigure41Protocol(t *testing.T) {
	p := newPaper(t, section(lockL, write(3, 7)), append(section(lockM, read(3)), section(lockL, read(3))...), nil)
	p.does(pi, 3) // it has a copy of p
	p.does(pj, 3)
	if len(p.procs[pj].n.diffs.All()) != 0 {
		t.Error("the interval ended before the token left")
	}
	p.heard = nil
	p.does(pi, 1)
	g := body[LockGrant](p, pj)
	if !g.Acquire.T.Equal(vtime.Time{1, 0, 0}) || len(g.Notices) != 1 || g.Notices[0].Writer != pj || g.Notices[0].Pages[0] != 0 {
		t.Errorf("the grant: %+v", g)
	}
	d := body[Diffs](p, pj)
	if len(d.Diffs) != 1 || d.Diffs[0].Bytes() != 1 || d.Diffs[0].Diff[0].Off != 3 {
		t.Errorf("the diff: %+v", d)
	}
	i, h := p.procs[pi].n, p.procs[home].n
	if !h.pages[0].v.Equal(vtime.Time{1, 0, 0}) {
		t.Errorf("p.v is %v", h.pages[0].v)
	}
	if !i.Time().Equal(vtime.Time{1, 0, 0}) || p.procs[pi].mem.access[0] != None || !i.pages[0].need.Equal(vtime.Time{1, 0, 0}) {
		t.Errorf("T_i %v, access %v, p.v^N %v", i.Time(), p.procs[pi].mem.access[0], i.pages[0].need)
	}
	p.does(pi, 1)
	if r := body[PageReq](p, pi); !r.Need.Equal(vtime.Time{1, 0, 0}) {
		t.Errorf("asked for %v", r.Need)
	}
}

// Figure 4.3, case A.1: p is invalid in P_i's checkpoint and p0 has all writes
// that the access needs. W_unrel(p) in it does no harm.
func TestPaperFigure43CaseA1(t *testing.T) {
	both := append(section(lockL), section(lockM)...)
	j := append(section(lockL, write(3, 7)), section(lockM, write(9, 8))...) // W_bef, W_unrel
	p := newPaper(t, j, append(both, append([]instr{read(3)}, section(lockL)...)...), both)
	p.does(pj, 6)
	p.does(pi, 4) // p is invalidated
	p.does(home, 4)
	p.checkpoint(home)
	p.checkpoint(pi)
	p.does(pi, 1+2) // Acc(p), and something that others know of
	p.lose(1)
	c := body[Copy](p, home)
	if need := p.procs[pi].n.pages[0].need; !need.LessEq(c.V) || !c.V.LessEq(vtime.Time{2, 0, 0}) {
		t.Errorf("p0.v %v, p.v^N %v", c.V, need)
	}
	if d := body[PageDiffs](p, pj); len(d.Diffs) != 0 {
		t.Errorf("p0 alone is enough, and P_j has %+v", d)
	}
}

// Figure 4.4, case A.2: p0 lacks W_bef(p), which P_j has in its diff log.
func TestPaperFigure44CaseA2(t *testing.T) {
	i := append(section(lockL), append([]instr{read(3)}, section(lockM)...)...)
	p := newPaper(t, section(lockL, write(3, 7)), i, section(lockM))
	p.checkpoint(home) // before W_bef
	p.does(pj, 3)
	p.does(pi, 2) // p is invalidated
	p.checkpoint(pi)
	p.does(pi, 1+2)
	p.lose(1)
	c, d := body[Copy](p, home), body[PageDiffs](p, pj)
	need := p.procs[pi].n.pages[0].need
	if c.V[pj] >= need[pj] || len(d.Diffs) != 1 || d.Diffs[0].Interval <= c.V[pj] {
		t.Errorf("p0.v %v, p.v^N %v, diffs %+v", c.V, need, d.Diffs)
	}
}

// Figure 4.5, case B: p is valid in P_i's checkpoint, and W_own(p) is not in p0.
func TestPaperFigure45CaseB(t *testing.T) {
	i := append(section(lockL, read(3), write(5, 9)), append([]instr{read(3), read(5)}, section(lockM)...)...)
	p := newPaper(t, section(lockL, write(3, 7)), i, nil)
	p.checkpoint(home)
	p.does(pj, 3)
	p.does(pi, 4) // R(p), W_own(p)
	p.checkpoint(pi)
	if p.procs[pi].mem.access[0] == None {
		t.Fatal("p is invalid in the checkpoint")
	}
	p.does(pi, 2+2)
	p.lose(2)
	if c := body[Copy](p, home); c.V[pi] != 0 {
		t.Errorf("p0 has W_own: %v", c.V)
	}
	if own := p.procs[pi].n.diffs.Since(0, 0); len(own) != 1 || own[0].Diff[0].Off != 5 {
		t.Errorf("the checkpoint has the diffs %+v", own)
	}
}
