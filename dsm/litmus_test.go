// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"flag"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"lazystate/bench/soaktest"
	"lazystate/dsm/vtime"
	"lazystate/tools/lab"
)

var (
	seedFlag  = flag.Uint64("dsm.seed", 0, "the one litmus program to run")
	firstFlag = flag.Uint64("dsm.first", 1, "the first of several")
	soakFlag  = flag.Duration("dsm.soak", 5*time.Minute, "how long each litmus test runs with LAZYSTATE_SOAK=1")
	soak      = lab.Soak()
)

// record is where make soak leaves what came of it.
const record = "../bench/results/soak-dsm.json"

// chances are how often, of 1000 steps of the scheduler, something happens.
type chances struct {
	crash, checkpoint, collect, double int
	ahead                              int // pages fetched before they are wanted
	crashes                            int // at most
	run                                int // of 100 choices, those that let a program run
	audit                              bool
}

// schedule runs the world to its end: who does what next is the seed's choice.
func (w *world) schedule(c chances) {
	for turn := 0; !w.finished() && len(w.broken) == 0; turn++ {
		if turn > 400000 {
			w.fail("no end")
			return
		}
		if w.fate(c) {
			continue
		}
		if !w.anything(c) {
			w.fail("nothing can happen any more")
			return
		}
		if c.audit && turn%64 == 0 && w.steady() {
			w.audit()
		}
	}
}

// anything lets a message come or a program go on.
func (w *world) anything(c chances) bool {
	if len(w.net) > 0 && w.rng.IntN(100) >= c.run {
		w.deliver(w.rng.IntN(len(w.net)), w.rng.IntN(1000) < c.double)
		return true
	}
	if len(w.looks) > 0 && w.rng.IntN(100) >= c.run {
		w.answer(w.rng.IntN(len(w.looks)), w.rng.IntN(4) > 0)
		return true
	}
	first := w.rng.IntN(len(w.procs))
	for i := range w.procs {
		p := w.procs[(first+i)%len(w.procs)]
		if p.up && !p.waits && p.pc < len(p.prog) {
			w.run(p)
			return true
		}
	}
	if len(w.net) > 0 {
		w.deliver(w.rng.IntN(len(w.net)), false)
		return true
	}
	if len(w.looks) > 0 {
		w.answer(0, w.rng.IntN(4) > 0)
		return true
	}
	return w.diskOrLife()
}

// diskOrLife is what remains when nothing else can happen.
func (w *world) diskOrLife() bool {
	for _, p := range w.procs {
		switch {
		case !p.up:
			w.restart(p)
			return true
		case p.landed > 0:
			w.tellSaved(p)
			return true
		case p.writing != nil:
			w.land(p)
			return true
		}
	}
	return false
}

// ahead has a node fetch pages that its program may want.
func (w *world) ahead(p *proc) {
	in := Prefetch{For: Read + Access(w.rng.IntN(2))}
	for range 1 + w.rng.IntN(3) {
		in.Pages = append(in.Pages, Page(w.rng.IntN(w.cfg.Pages)))
	}
	w.say("%v fetches %v in advance", p.id, in)
	w.step(p, in)
	if w.met != nil && p.n.pages[in.Pages[0]].asked {
		w.met["a page in advance"]++
	}
}

// land has a checkpoint on the disk. Its node hears of that later.
func (w *world) land(p *proc) {
	p.disk, p.landed, p.writing = append(p.disk, p.writing), p.writing.Number, nil
	w.say("%v has saved checkpoint %d", p.id, p.landed)
}

func (w *world) tellSaved(p *proc) {
	number := p.landed
	p.landed = 0
	w.step(p, Saved{number})
}

// fate is crashes, restarts, checkpoints and collections.
func (w *world) fate(c chances) bool {
	p := w.procs[w.rng.IntN(len(w.procs))]
	dice := w.rng.IntN(1000)
	crashed := 0
	for _, q := range w.procs {
		crashed += int(q.inc) - 1
	}
	switch {
	case dice < c.crash && crashed < c.crashes && p.up && (w.steady() || !p.n.Live()):
		w.crash(p)
	case !p.up && dice < 300:
		w.restart(p)
	case !p.up:
		return false
	case dice < c.crash+c.checkpoint && p.atOp && !p.waits && p.writing == nil && p.landed == 0:
		w.step(p, Checkpoint{})
	case p.writing != nil && dice > 980: // the disk is full
		number := p.writing.Number
		p.writing = nil
		w.step(p, NotSaved{number})
	case p.writing != nil && dice < 200:
		w.land(p)
	case p.landed > 0 && dice < 200:
		w.tellSaved(p)
	case dice > 1000-c.collect:
		w.step(p, Collect{})
	case dice > 500 && dice < 500+c.ahead && p.up:
		w.ahead(p)
	default:
		return false
	}
	return true
}

// drawLitmus makes a world of a seed.
func drawLitmus(seed uint64) (*world, *litmus) {
	rng := rand.New(rand.NewPCG(seed, 1))
	cfg := Config{
		Nodes: 2 + rng.IntN(3), Pages: 2 + rng.IntN(4), PageSize: []int{8, 16}[rng.IntN(2)], Locks: 1 + rng.IntN(4), Conds: 2,
		PerPage: rng.IntN(2) == 0, Fanout: rng.IntN(3), Shelves: seed%2 == 0, Ahead: int(seed % 5), Races: seed%4 < 3,
	}
	if rng.IntN(2) == 0 {
		salt := rng.Uint64()
		cfg.Home = func(p Page) (NodeID, bool) {
			h := mix(salt, uint64(p)) % uint64(cfg.Nodes+1)
			return NodeID(h), h < uint64(cfg.Nodes)
		}
	}
	l := &litmus{rng: rng, nodes: cfg.Nodes, bytes: cfg.Pages * cfg.PageSize, locks: cfg.Locks, phases: 1 + rng.IntN(4), steps: 1 + rng.IntN(12), inside: 1 + rng.IntN(5), salt: rng.Uint64()}
	if rng.IntN(3) == 0 {
		l.places = cfg.Pages
	}
	if rng.IntN(8) == 0 {
		l.steps = 40 // long enough that checkpoints are discarded
	}
	var progs [][]instr
	for i := range cfg.Nodes {
		progs = append(progs, l.program(i))
	}
	w := newScanning(cfg, rng.IntN(3) == 0, seed, progs...)
	w.lone = true
	return w, l
}

// seeds are those of a test: one, some, or as many as there is time for. The book has
// how many those were.
func seeds(t *testing.T, short int, f func(t *testing.T, seed uint64)) *soaktest.Book {
	first, n, told, end := *firstFlag, short, 0, time.Now().Add(24*time.Hour)
	switch {
	case *seedFlag != 0:
		first, n, told = *seedFlag, 1, short // which is not recorded
	case soak:
		n, end = 100000000, time.Now().Add(*soakFlag)
	}
	book := soaktest.New(t, record, first, told)
	for ; book.Runs < n && !t.Failed() && time.Now().Before(end); book.Runs++ {
		f(t, first+uint64(book.Runs))
	}
	return book
}

func verdict(t *testing.T, w *world, seed uint64) {
	t.Helper()
	if len(w.broken) > 0 {
		if testing.Verbose() {
			t.Log("\n" + w.tell())
		}
		t.Fatalf("seed %d: %d faults, the first: %s", seed, len(w.broken), w.broken[0])
	}
}

// Every read of a program without data races returns what happened before it.
func TestLitmus(t *testing.T) {
	seeds(t, 300, func(t *testing.T, seed uint64) {
		w, _ := drawLitmus(seed)
		w.schedule(chances{double: 50, ahead: 40, run: 20 + int(seed%60)})
		verdict(t, w, seed)
	})
}

// So it does with checkpoints and collections, and at any moment everything is
// there that a recovery needs.
func TestLitmusKeepsWhatIsNeeded(t *testing.T) {
	var created, gone uint64
	most := 0
	book := seeds(t, 300, func(t *testing.T, seed uint64) {
		w, _ := drawLitmus(seed)
		w.schedule(chances{double: 50, run: 20 + int(seed%60), checkpoint: 60, collect: 100, ahead: 40, audit: true})
		verdict(t, w, seed)
		for _, p := range w.procs {
			c := p.n.Counters()
			if int(c.LogCreated-c.LogGone) != p.n.LogBytes() {
				t.Errorf("seed %d: %v has logged %d bytes and discarded %d, %d are there", seed, p.id, c.LogCreated, c.LogGone, p.n.LogBytes())
			}
			created, gone, most = created+c.LogCreated, gone+c.LogGone, max(most, c.WindowMost)
		}
	})
	if gone == 0 || most < 2 {
		t.Error("nothing is ever discarded")
	}
	book.Add("bytes logged", int(created))
	book.Add("bytes discarded", int(gone))
	book.Add("checkpoints in a window, at most", most)
}

// And with crashes: a recovered node has read what it had read before. What a
// recovery is made of must have been there.
func TestLitmusCrashes(t *testing.T) {
	met := map[string]int{}
	book := seeds(t, 500, func(t *testing.T, seed uint64) {
		w, _ := drawLitmus(seed)
		w.met = met
		c := chances{double: 50, run: 20 + int(seed%60), crash: 8, crashes: 1 + int(seed%4), ahead: 40, audit: true}
		if seed%3 > 0 {
			c.checkpoint, c.collect = 60, 100
		}
		w.schedule(c)
		verdict(t, w, seed)
	})
	for _, what := range []string{
		"p0 of a checkpoint", "p0 of the beginning", "diffs beyond p0", "diffs for a lost home", "ragged diffs given back",
		"a request of a lost queue", "a rebuilt acq_sent_log", "a late arrival", "a second incarnation lost", "a bound in place of a cut", "a token that is here", "a page in advance",
		"a page on a shelf", "a page laid out again", "a page on the shelf of a lost node",
		"a home lost while its page is waited for", "a root of barriers lost with its arrivals", "a barrier whose end is lost with its root",
	} {
		if met[what] == 0 && *seedFlag == 0 {
			t.Errorf("never met: %s", what)
		}
	}
	for what, times := range met {
		book.Add(what, times)
	}
}

// Alone a node recovers from its checkpoint: nobody knows of more.
func TestLitmusAlone(t *testing.T) {
	seeds(t, 30, func(t *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 6))
		cfg := Config{Nodes: 1, Pages: 2, PageSize: 16, Locks: 2}
		l := &litmus{rng: rng, nodes: 1, bytes: 32, locks: 2, phases: 3, steps: 6, inside: 3, salt: rng.Uint64()}
		w := newWorld(cfg, seed, l.program(0))
		w.schedule(chances{crash: 20, crashes: 3, checkpoint: 100, collect: 20})
		verdict(t, w, seed)
	})
}

// With enough nodes for a tree of barriers.
func TestLitmusTree(t *testing.T) {
	seeds(t, 30, func(t *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 5))
		cfg := Config{Nodes: 8 + rng.IntN(9), Pages: 4, PageSize: 16, Locks: 5, Conds: 1}
		l := &litmus{rng: rng, nodes: cfg.Nodes, bytes: cfg.Pages * cfg.PageSize, locks: cfg.Locks, phases: 3, steps: 4, inside: 3, salt: rng.Uint64()}
		var progs [][]instr
		for i := range cfg.Nodes {
			progs = append(progs, l.program(i))
		}
		w := newWorld(cfg, seed, progs...)
		w.schedule(chances{double: 50, run: 20, crash: 4, crashes: 3, checkpoint: 20, collect: 20, ahead: 20})
		verdict(t, w, seed)
	})
}

// Without logs the programs read the same, and nothing is kept.
func TestLitmusUnlogged(t *testing.T) {
	seeds(t, 200, func(t *testing.T, seed uint64) {
		w, _ := drawLitmus(seed)
		w.cfg.Unlogged = true
		for _, p := range w.procs {
			p.n = New(w.config(p.id), w.attach(p))
		}
		w.schedule(chances{double: 50, ahead: 40, checkpoint: 20, collect: 20, run: 20 + int(seed%60)})
		verdict(t, w, seed)
		for _, p := range w.procs {
			if c := p.n.Counters(); p.n.LogBytes() > 0 || c.LogCreated > 0 || c.News > 0 || c.Saved > 0 {
				t.Errorf("seed %d: %v keeps %d bytes: %+v", seed, p.id, p.n.LogBytes(), c)
			}
		}
	})
}

// A node that was lost ends a run without logs, with a word.
func TestUnloggedLoss(t *testing.T) {
	cfg := Config{Nodes: 2, Pages: 1, PageSize: 8, Unlogged: true}
	n := New(cfg, newMemory(cfg))
	effects := n.Step(Deliver{&Message{From: 1, To: 0, FromInc: 2, Seq: 1, Body: Recover{Stamp{T: vtime.New(2)}}}})
	r, ok := effects[len(effects)-1].(Refuse)
	if !ok || !strings.Contains(r.Err.Error(), "nothing is logged") {
		t.Errorf("%v", effects)
	}
}

// age has all nodes be as if so many operations, messages, intervals and barriers lay
// behind them, and a checkpoint.
func (w *world) age(by uint64) {
	same := vtime.New(w.cfg.Nodes)
	for i := range same {
		same[i] = by
	}
	for _, p := range w.procs {
		n := p.n
		n.ordinal, n.bar.number, n.t, n.v, n.bar.last = by, by, same.Clone(), same.Clone(), same.Clone()
		n.stamp = Stamp{T: same, Ordinal: by, Barriers: by}
		for _, i := range n.others() {
			n.peers[i].sendSeq, n.peers[i].recvSeq, n.peers[i].ckp = by, by, n.stamp
		}
	}
	for _, p := range w.procs {
		w.step(p, Checkpoint{})
		w.land(p)
		w.tellSaved(p)
	}
}

// A program takes its own locks a million times a second: 32 bits of them would be over
// in an hour. What a run counts goes on behind that.
func TestLongRun(t *testing.T) {
	seeds(t, 100, func(t *testing.T, seed uint64) {
		w, _ := drawLitmus(seed)
		w.age(1<<32 - 2)
		w.schedule(chances{double: 50, run: 20 + int(seed%60), crash: 8, crashes: 2, checkpoint: 60, collect: 100, ahead: 40, audit: true})
		verdict(t, w, seed)
		for _, p := range w.procs {
			if p.n.Ordinal() < 1<<32 {
				t.Errorf("seed %d: %v is at operation %d", seed, p.id, p.n.Ordinal())
			}
		}
	})
}
