// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"lazystate/dsm/logs"
)

// world is a cluster with a network that delays, doubles and reorders, disks
// that are slow, and programs. What each program reads is compared with what a
// memory without delay has; a replay, with what was read the first time.
type world struct {
	cfg     Config
	rng     *rand.Rand
	procs   []*proc
	net     []*Message
	looks   []look // that are not answered
	shadow  [][]written
	broken  []string
	story   []string
	scans   bool               // memories do not fault at writes
	lone    bool               // some operations are done without a word
	met     map[string]int     // what recoveries were made of
	quiet   bool               // no story
	exact   bool               // nothing is drawn: see exhaustive_test.go
	history history            // see omniscient_test.go
	mutate  func(*Node, Input) // a fault in the node, see mutation_test.go
}

// written is a byte's value and which access of which program wrote it.
type written struct {
	who NodeID
	idx int
	val byte
}

// proc is a node with its program and its disk.
type proc struct {
	id      NodeID
	n       *Node
	mem     *memory
	wrote   map[Page]bool // since the last scan
	up      bool
	inc     uint32
	prog    []instr
	pc      int
	acc     byte // what it has read, all together
	idx     int  // accesses so far
	waits   bool
	atOp    bool            // right behind an operation
	free    map[uint32]bool // locks that it may have without a word
	alone   []Op            // on these, that its node does not know of yet
	trace   []access
	writing *saved   // on its way to the disk
	landed  uint32   // on the disk, the node does not know it
	disk    []*saved // oldest first
	gone    map[logs.PageCopy]bool
	lives   int                       // recoveries that ended
	due     int                       // how often checkpoints were wanted of it
	blind   bool                      // its disk does not give back pages
	shelves map[uint32]map[Page]Found // by incarnation: who has begun to read one may go on when it is dead
}

type access struct {
	write bool
	off   int
	val   byte
}

// saved is a checkpoint with the program's private state.
type saved struct {
	*State
	pc, idx int
	acc     byte
}

// memory is a node's copy of the region.
type memory struct {
	pages  [][]byte
	access []Access
}

func newMemory(cfg Config) *memory {
	m := &memory{access: make([]Access, cfg.Pages)}
	for range cfg.Pages {
		m.pages = append(m.pages, make([]byte, cfg.PageSize))
	}
	return m
}

// scanned is a memory that does not fault at writes.
type scanned struct {
	*memory
	written map[Page]bool
}

func (m *scanned) Written() []Page {
	pages := slices.Collect(maps.Keys(m.written))
	clear(m.written)
	return pages
}

// attach gives a node the memory.
func (w *world) attach(p *proc) Memory {
	p.mem, p.wrote = newMemory(w.cfg), nil
	if !w.scans {
		return p.mem
	}
	p.wrote = map[Page]bool{}
	return &scanned{p.mem, p.wrote}
}

func (m *memory) Bytes(p Page) []byte      { return m.pages[p] }
func (m *memory) Protect(p Page, a Access) { m.access[p] = a }

func newWorld(cfg Config, seed uint64, progs ...[]instr) *world {
	return newScanning(cfg, false, seed, progs...)
}

// newScanning makes a world whose memories may be Scanners.
func newScanning(cfg Config, scans bool, seed uint64, progs ...[]instr) *world {
	w := &world{scans: scans, cfg: cfg, rng: rand.New(rand.NewPCG(seed, 7)), shadow: make([][]written, cfg.Pages*cfg.PageSize)}
	for i, prog := range progs {
		p := &proc{id: NodeID(i), up: true, inc: 1, prog: prog, gone: map[logs.PageCopy]bool{}, free: map[uint32]bool{}}
		p.shelves = map[uint32]map[Page]Found{1: {}}
		p.n = New(w.config(p.id), w.attach(p))
		w.procs = append(w.procs, p)
	}
	w.history = newHistory()
	return w
}

func (w *world) config(i NodeID) Config {
	cfg := w.cfg
	cfg.Self = i
	return cfg
}

func (w *world) fail(format string, args ...any) {
	w.broken = append(w.broken, fmt.Sprintf(format, args...))
}

func (w *world) say(format string, args ...any) {
	if w.quiet {
		return
	}
	if w.story = append(w.story, fmt.Sprintf(format, args...)); len(w.story) > 4000 {
		w.story = w.story[2000:]
	}
}

// step gives a node an input and does what it asks for.
func (w *world) step(p *proc, in Input) {
	if ops := p.alone; len(ops) > 0 {
		p.alone = nil
		w.step(p, Alone{ops})
	}
	w.perform(p, p.n.Step(in))
	w.history.see(p.n)
	if w.mutate != nil {
		w.mutate(p.n, in)
	}
}

func (w *world) perform(p *proc, effects []Effect) {
	for _, e := range effects {
		switch e := e.(type) {
		case Send:
			w.net = append(w.net, e.Message)
			w.meet(p, e.Message)
		case Done:
			w.say("%v done %v", p.id, e.Op)
			p.pc, p.waits, p.atOp = p.pc+1, false, true
		case Resume:
			p.waits = false
		case Token:
			p.free[e.Lock] = e.Here
		case Shelve:
			p.shelves[p.inc][e.Page] = Found{p.id, p.inc, e.Page, e.V, e.Ordinal, e.Bytes}
		case Outdated:
			w.outdated(p, e.Pages)
		case Look:
			w.looks = append(w.looks, look{p.id, p.inc, e})
		case Due:
			p.due++
		case Save:
			p.writing = &saved{e.State, p.pc, p.idx, p.acc}
		case Load:
			w.load(p, e)
		case Discard:
			p.disk = slices.DeleteFunc(p.disk, func(s *saved) bool { return s.Number == e.Number })
		case DiscardPage:
			p.gone[logs.PageCopy(e)] = true
		case Race:
			w.fail("%v: a data race: %+v", p.id, e)
		case Live:
			w.say("%v live at op %d", p.id, p.n.Ordinal())
			w.rollBack(p)
		case Ignored:
			w.fail("%v ignores %v: %s", p.id, e.From, e.Why)
		case Refuse:
			w.fail("%v refuses: %v", p.id, e.Err)
		}
	}
}

func (w *world) load(p *proc, e Load) {
	if p.blind {
		w.step(p, NotLoaded{e.To, e.Page, "the disk is blind"})
		return
	}
	for _, s := range p.disk {
		for _, pg := range s.Pages {
			if s.Number == e.Number && pg.Page == e.Page && !p.gone[logs.PageCopy{Number: e.Number, Page: e.Page}] {
				w.step(p, Loaded{e.To, e.Number, e.Page, bytes.Clone(pg.Bytes)})
				return
			}
		}
	}
	w.fail("%v: page %d of checkpoint %d was discarded", p.id, e.Page, e.Number)
}

// rollBack forgets what the old incarnation did and nobody has seen.
func (w *world) rollBack(p *proc) {
	p.trace = p.trace[:p.idx]
	p.lives++
	for b := range w.shadow {
		w.shadow[b] = slices.DeleteFunc(w.shadow[b], func(x written) bool { return x.who == p.id && x.idx >= p.idx })
	}
	w.history.relive(p.n)
}

// run lets a program do its next instruction.
func (w *world) run(p *proc) {
	in := p.prog[p.pc]
	if in.kind == kJump {
		p.pc = in.to
		return
	}
	if in.access() {
		page := Page(in.at / w.cfg.PageSize)
		if need := in.needs(); p.mem.access[page] < need {
			p.waits = true
			w.step(p, Fault{page, need == Write})
			return
		}
		p.pc = w.touch(p, in)
		p.atOp = false
		return
	}
	p.waits, p.atOp = true, false
	w.say("%v begins %v", p.id, in.op)
	if w.lone && in.op.Kind == Barrier && p.pc%4 == 0 {
		w.step(p, Want{})
	}
	free := p.n.Live() && (in.op.Kind == Acquire || in.op.Kind == Release) && p.free[in.op.ID]
	if free && w.lone && w.rng.IntN(2) == 0 {
		p.alone = append(p.alone, in.op)
		p.pc, p.waits = p.pc+1, false
		return
	}
	w.step(p, Begin{in.op})
	if free && p.waits {
		w.fail("%v waits with lock %d, which it was told is here", p.id, in.op.ID)
	}
	if free && w.met != nil {
		w.met["a token that is here"]++
	}
}

// touch reads or writes a byte and returns where the program goes on.
func (w *world) touch(p *proc, in instr) int {
	cell := &p.mem.Bytes(Page(in.at / w.cfg.PageSize))[in.at%w.cfg.PageSize]
	if p.wrote != nil && in.needs() == Write {
		p.wrote[Page(in.at/w.cfg.PageSize)] = true
	}
	if in.kind == kWrite {
		*cell = in.val ^ p.acc
		w.note(p, access{true, in.at, *cell})
		return p.pc + 1
	}
	w.note(p, access{false, in.at, *cell})
	v := *cell
	if in.kind == kUntil {
		if v < in.val {
			return in.to
		}
		return p.pc + 1 // how often it looked is no matter
	}
	p.acc = p.acc*31 + v
	if in.kind == kAdd {
		*cell = v + in.val
		w.note(p, access{true, in.at, *cell})
	}
	return p.pc + 1
}

// note compares an access with the truth, and a write becomes part of it.
func (w *world) note(p *proc, a access) {
	w.say("%v pc %d %+v live %v", p.id, p.pc, a, p.n.Live())
	defer func() { p.idx++ }()
	if !p.n.Live() && p.idx < len(p.trace) {
		if p.trace[p.idx] != a {
			w.fail("%v at %d replays access %d as %+v, it was %+v", p.id, p.pc, p.idx, a, p.trace[p.idx])
		}
		return
	}
	p.trace = append(p.trace, a)
	if a.write {
		w.shadow[a.off] = append(w.shadow[a.off], written{p.id, p.idx, a.val})
		return
	}
	var want byte
	if s := w.shadow[a.off]; len(s) > 0 {
		want = s[len(s)-1].val
	}
	if a.val != want {
		w.fail("%v at %d reads %d at %d, not %d", p.id, p.pc, a.val, a.off, want)
	}
}

// crash loses a node: its memory, and maybe what it has sent.
func (w *world) crash(p *proc) {
	w.say("%v crashes at op %d, T %v, checkpoint %v", p.id, p.n.Ordinal(), p.n.Time(), p.n.stamp)
	p.up, p.writing, p.landed, p.alone = false, nil, 0, nil
	lose := w.rng.IntN(3)
	w.net = slices.DeleteFunc(w.net, func(m *Message) bool {
		switch {
		case m.To == p.id:
			return isRecover(m) || w.rng.IntN(2) == 0
		case m.From == p.id:
			return w.rng.IntN(2) < lose
		}
		return false
	})
	w.meetLoss(p)
}

// restart brings it back from its disk.
func (w *world) restart(p *proc) {
	p.inc++
	p.shelves[p.inc] = map[Page]Found{}
	mem := w.attach(p)
	p.up, p.waits, p.atOp, p.pc, p.idx, p.acc = true, false, false, 0, 0, 0
	p.free = map[uint32]bool{}
	var st *State
	var window []logs.Kept
	for _, s := range p.disk {
		k := s.Kept()
		for pg := range k.Pages {
			if p.gone[logs.PageCopy{Number: k.Number, Page: pg}] {
				delete(k.Pages, pg)
			}
		}
		window = append(window, k)
		st, p.pc, p.idx, p.acc = s.State, s.pc, s.idx, s.acc
	}
	var effects []Effect
	w.say("%v restarts", p.id)
	p.n, effects = Restart(w.config(p.id), mem, st, window, p.inc)
	w.perform(p, effects)
}

// deliver hands over the i-th message that is under way.
func (w *world) deliver(i int, keep bool) {
	m := w.net[i]
	if !keep {
		w.net = slices.Delete(w.net, i, i+1)
		w.say("   %v.%d>%v.%d #%d %T %+v", m.From, m.FromInc, m.To, m.ToInc, m.Seq, m.Body, m.Body)
	}
	if p := w.procs[m.To]; p.up {
		w.step(p, Deliver{m})
	}
}

// outdated has some pages laid out again: those that were taken, or any others.
func (w *world) outdated(p *proc, pages []Page) {
	for _, page := range pages {
		if !p.n.homedHere(page) {
			w.fail("%v says that page %d on its shelf is old, and has another home", p.id, page)
		}
	}
	some := pages
	if !w.exact {
		some = pages[:w.rng.IntN(len(pages)+1)]
	}
	if len(some) > 0 {
		w.step(p, Wanted{some})
		if w.met != nil {
			w.met["a page laid out again"]++
		}
	}
}

// look is one node's at the shelf of another.
type look struct {
	who NodeID
	inc uint32
	Look
}

// answer ends the i-th look: with what lies there now, or, as when the two are not
// connected, with nothing.
func (w *world) answer(i int, connected bool) {
	l := w.looks[i]
	w.looks = slices.Delete(w.looks, i, i+1)
	p := w.procs[l.who]
	if !p.up || p.inc != l.inc {
		return
	}
	f := Found{Home: l.Home, Incarnation: l.Incarnation, Page: l.Page}
	if connected {
		if lies, ok := w.procs[l.Home].shelves[l.Incarnation][l.Page]; ok {
			f = lies
			f.Bytes = bytes.Clone(lies.Bytes)
		}
	}
	w.say("%v finds page %d on the shelf of %v.%d: %v", p.id, l.Page, l.Home, l.Incarnation, f.V)
	before := p.n.Counters().Found
	w.step(p, f)
	if w.met != nil && p.n.Counters().Found > before {
		w.met["a page on a shelf"]++
		if !w.procs[l.Home].up {
			w.met["a page on the shelf of a lost node"]++
		}
	}
}

func (w *world) finished() bool {
	for _, p := range w.procs {
		if !p.up || p.pc < len(p.prog) || !p.n.Live() {
			return false
		}
	}
	return true
}

// steady is true if one more failure is one at a time.
func (w *world) steady() bool {
	return !slices.ContainsFunc(w.procs, func(p *proc) bool { return !p.up || !p.n.Live() })
}

func (w *world) tell() string {
	var b strings.Builder
	for _, s := range w.story[max(0, len(w.story)-1500):] {
		b.WriteString(s + "\n")
	}
	for _, p := range w.procs {
		fmt.Fprintf(&b, "%v up %v live %v pc %d/%d waits %v T %v V %v op %v fault %+v\n", p.id, p.up, p.n.Live(), p.pc, len(p.prog), p.waits, p.n.t, p.n.v, p.n.op, p.n.fault)
	}
	for _, m := range w.net {
		fmt.Fprintf(&b, "under way %v.%d>%v.%d #%d %T\n", m.From, m.FromInc, m.To, m.ToInc, m.Seq, m.Body)
	}
	return b.String()
}
