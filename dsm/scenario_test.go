// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestScenarios plays the stories in testdata: what nodes say to each other for
// each step of their programs, around losses too.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/scenario", func(t *testing.T, path string) {
		var p *paper
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "programs" {
				p = storyWorld(t, d)
				return ""
			}
			p.T = t
			who, err := strconv.Atoi(strings.TrimPrefix(d.CmdArgs[0].Key, "P"))
			if err != nil {
				t.Fatalf("%s: %v", d.Pos, err)
			}
			q := p.procs[who]
			switch d.Cmd {
			case "run": // run P0 3: so many instructions
				n, err := strconv.Atoi(d.CmdArgs[1].Key)
				if err != nil {
					t.Fatalf("%s: %v", d.Pos, err)
				}
				p.does(who, n)
			case "begin": // one more, which need not end
				p.run(q)
				p.settle()
			case "checkpoint":
				p.checkpoint(who)
			case "crash":
				p.crash(q)
			case "restart":
				p.restart(q)
				p.settle()
			case "status":
				return status(q.n)
			default:
				t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
			}
			p.ok()
			return p.said()
		})
	})
}

// said is what was told since the last look.
func (p *paper) said() string {
	var b strings.Builder
	for _, m := range p.heard {
		fmt.Fprintf(&b, "%v > %v  %s\n", m.From, m.To, line(m.Body))
	}
	p.heard = nil
	return b.String()
}

// line is a message in one.
func line(b Body) string {
	s := strings.TrimPrefix(fmt.Sprintf("%T", b), "dsm.")
	switch b := b.(type) {
	case LockReq:
		return fmt.Sprintf("%s lock %d for operation %d, T %v", s, b.Lock, b.Ordinal, b.T)
	case LockFwd:
		return fmt.Sprintf("%s lock %d to %v", s, b.Lock, b.To)
	case LockGrant:
		return fmt.Sprintf("%s lock %d, T %v%s", s, b.Acquire.Lock, b.Acquire.T, noticesLine(b.Notices))
	case BarrierArrive:
		return fmt.Sprintf("%s %d, T %v%s", s, b.Number, b.High, noticesLine(b.Notices))
	case BarrierRelease:
		return fmt.Sprintf("%s %d, T %v%s", s, b.Barrier.Number, b.Barrier.T, noticesLine(b.Notices))
	case PageReq:
		return fmt.Sprintf("%s page %d of version %v", s, b.Page, b.Need)
	case PageRep:
		return fmt.Sprintf("%s page %d, V %v", s, b.Page, b.V)
	case Diffs:
		s = fmt.Sprintf("%s interval %d", s, b.Cut.Interval)
		for _, d := range b.Diffs {
			s += fmt.Sprintf(", %d bytes of page %d", d.Bytes(), d.Page)
		}
		return s
	case Copy:
		return fmt.Sprintf("%s page %d, p0.v %v", s, b.Page, b.V)
	case PageDiffs:
		return fmt.Sprintf("%s page %d: %d", s, b.Page, len(b.Diffs))
	case Recover:
		return fmt.Sprintf("%s from checkpoint %d, T_ckp %v", s, b.Ckp.Number, b.Ckp.T)
	case Recovery:
		return fmt.Sprintf("%s: acq_sent %d, acq_rcvd %d, barriers %d, wn_log %d, diffs %d", s, len(b.Sent), len(b.Rcvd), len(b.Barriers), len(b.Notices), len(b.Diffs))
	case Recovered:
		return fmt.Sprintf("%s: diffs %d up to interval %d", s, len(b.Diffs), b.Upto)
	}
	return s
}

func noticesLine(list []WriterNotice) string {
	s := ""
	for _, w := range list {
		s += fmt.Sprintf(", wn %v.%d %v", w.Writer, w.Interval, w.Pages)
	}
	return s
}

func status(n *Node) string {
	s := fmt.Sprintf("T %v, V %v, operation %d, live %v, logs %d bytes", n.t, n.v, n.ordinal, n.Live(), n.LogBytes())
	if w := n.Waiting(); w != "" {
		s += "\nwaits for " + w
	}
	return s + "\n"
}

// programs pages=2 locks=2; then a line a node: acquire:0 write:3:7 read:3
// release:0 barrier:0. Page p is homed at node p.
func storyWorld(t *testing.T, d *datadriven.TestData) *paper {
	cfg := Config{Pages: 2, PageSize: 16, Locks: 3}
	for _, a := range d.CmdArgs {
		v, err := strconv.Atoi(a.Vals[0])
		if err != nil {
			t.Fatal(err)
		}
		*map[string]*int{"pages": &cfg.Pages, "locks": &cfg.Locks}[a.Key] = v
	}
	var progs [][]instr
	for l := range strings.Lines(d.Input) {
		var prog []instr
		for _, word := range strings.Fields(l) {
			prog = append(prog, parseInstr(t, word))
		}
		progs = append(progs, prog)
	}
	cfg.Nodes = len(progs)
	cfg.Home = func(p Page) (NodeID, bool) { return NodeID(int(p) % cfg.Nodes), true }
	return &paper{T: t, world: newWorld(cfg, 1, progs...)}
}

func parseInstr(t *testing.T, word string) instr {
	f := strings.Split(word, ":")
	n := make([]int, 2)
	for i, s := range f[1:] {
		v, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		n[i] = v
	}
	switch f[0] {
	case "read":
		return read(n[0])
	case "write":
		return write(n[0], n[1])
	case "add":
		return add(n[0], n[1])
	}
	for k := Acquire; k <= Place; k++ {
		if k.String() == f[0] {
			return op(k, n[0])
		}
	}
	t.Fatalf("no instruction %q", word)
	return instr{}
}
