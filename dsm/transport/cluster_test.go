// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"lazystate/dsm"
	"lazystate/dsm/store"
)

// process is a node with its program, its disk and its links: the least that a
// driver is.
type process struct {
	r    *rig
	id   dsm.NodeID
	dir  string
	inc  uint32
	disk *store.Store
	net  *end

	mu    sync.Mutex
	woken *sync.Cond
	n     *dsm.Node
	dead  bool
	mem   [][]byte
	may   []dsm.Access
	waits bool
	round int // of the program
	lives int
	found int   // pages on others' shelves
	fault error // what should not be
	end   chan struct{}
}

const (
	rounds    = 60
	everySave = 7
)

func (p *process) Bytes(page dsm.Page) []byte            { return p.mem[page] }
func (p *process) Protect(page dsm.Page, may dsm.Access) { p.may[page] = may }

// begin starts the next incarnation and its program.
func (p *process) begin() {
	t := p.r.t
	t.Helper()
	cfg := p.r.cfg
	cfg.Self = p.id
	disk, err := store.Open(cfg, p.dir)
	if err != nil {
		t.Fatal(err)
	}
	inc, past, err := disk.Begin()
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	p.disk, p.inc, p.dead, p.waits, p.round, p.end = disk, inc, false, false, 0, make(chan struct{})
	if len(past.Private) > 0 {
		p.round = int(binary.LittleEndian.Uint32(past.Private))
	}
	p.mem, p.may, p.n = nil, make([]dsm.Access, cfg.Pages), nil
	for range cfg.Pages {
		p.mem = append(p.mem, make([]byte, cfg.PageSize))
	}
	p.mu.Unlock()
	p.net = p.r.start(p.id, inc, func(e *end, _ *Config) { e.deliver, e.find = p.hear, p.seek })
	go func() {
		defer close(p.end)
		p.net.ready()
		p.mu.Lock()
		if inc == 1 {
			p.n = dsm.New(cfg, p)
		} else {
			n, effects := dsm.Restart(cfg, p, past.State, past.Window, inc)
			p.n = n
			p.perform(effects)
		}
		p.woken.Broadcast()
		p.mu.Unlock()
		p.program()
	}()
}

// hear waits for the node to be there.
func (p *process) hear(m *dsm.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.n == nil && !p.dead {
		p.woken.Wait()
	}
	if !p.dead {
		p.step(dsm.Deliver{Message: m})
	}
}

// seek hears what a look has found later.
func (p *process) seek(f dsm.Found) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.dead && p.n != nil {
		p.look(f)
	}
}

func (p *process) look(f dsm.Found) {
	if p.step(f); f.V != nil {
		p.found++
	}
}

func (p *process) step(in dsm.Input) { p.perform(p.n.Step(in)) }

func (p *process) perform(effects []dsm.Effect) {
	var looks []dsm.Look
	var old []dsm.Page
	for _, e := range effects {
		switch e := e.(type) {
		case dsm.Send:
			p.net.Send(e.Message)
		case dsm.Shelve:
			p.net.Shelve(e)
		case dsm.Outdated:
			old = append(old, e.Pages...)
		case dsm.Look:
			looks = append(looks, e)
		case dsm.Done, dsm.Resume:
			p.waits = false
		case dsm.Save:
			private := binary.LittleEndian.AppendUint32(nil, uint32(p.round))
			go p.save(p.disk, p.inc, e.State, private)
		case dsm.Load:
			b, err := p.disk.Page(e.Number, e.Page)
			if err != nil {
				p.fault = err
			}
			p.step(dsm.Loaded{To: e.To, Number: e.Number, Page: e.Page, Bytes: b})
		case dsm.Discard:
			p.disk.Discard(e.Number)
		case dsm.DiscardPage:
			p.disk.DiscardPage(e.Number, e.Page)
		case dsm.Live:
			p.lives++
		case dsm.Ignored:
			p.fault = fmt.Errorf("%v ignores %v: %s", p.id, e.From, e.Why)
		case dsm.Refuse:
			p.fault = e.Err
		}
	}
	if len(old) > 0 {
		p.step(dsm.Wanted{Pages: p.net.Taken(old)})
	}
	for _, e := range looks {
		if f, now := p.net.Look(e); now {
			p.look(f)
		}
	}
	p.woken.Broadcast()
	if p.id > 0 {
		p.net.Flush()
	}
}

// save is in the background. A node that dies meanwhile may have saved.
func (p *process) save(disk *store.Store, inc uint32, st *dsm.State, private []byte) {
	err := disk.Save(st, private)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.dead || p.inc != inc:
	case err != nil:
		p.fault = err
		p.step(dsm.NotSaved{Number: st.Number})
	default:
		p.step(dsm.Saved{Number: st.Number})
	}
}

// do is an operation, or an access until the page may be written.
func (p *process) do(in dsm.Input) {
	p.waits = true
	p.step(in)
	for p.waits && !p.dead {
		p.woken.Wait()
	}
}

// program counts under locks, in pages of which each has two counters.
func (p *process) program() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.round < rounds && !p.dead {
		which := uint32(p.round % 4)
		page := dsm.Page(which / 2)
		p.do(dsm.Begin{Op: dsm.Op{Kind: dsm.Acquire, ID: which}})
		for p.may[page] != dsm.Write && !p.dead {
			p.do(dsm.Fault{Page: page, Write: true})
		}
		if p.dead {
			return
		}
		p.mem[page][which]++
		p.do(dsm.Begin{Op: dsm.Op{Kind: dsm.Release, ID: which}})
		p.round++
		if p.round%everySave == int(p.id) && !p.dead {
			p.step(dsm.Checkpoint{})
		}
	}
	if !p.dead {
		p.do(dsm.Begin{Op: dsm.Op{Kind: dsm.Barrier, ID: 1}})
	}
}

// crash loses the node: its memory, and what it has sent and nobody heard.
func (p *process) crash() {
	p.mu.Lock()
	p.dead = true
	p.woken.Broadcast()
	p.mu.Unlock()
	<-p.end
	p.net.kill()
	if err := p.disk.Close(); err != nil {
		p.r.t.Error(err)
	}
}

// until waits for a state of the node. It is false if something went wrong.
func (p *process) until(f func() bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !f() && p.fault == nil {
		p.woken.Wait()
	}
	return p.fault == nil
}

// Nodes that are real but for their program's memory count as one, over every
// carrier, while one after the other is lost at some moment.
func TestCluster(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		rng := rand.New(rand.NewPCG(uint64(len(r.carrier)), 3))
		dir := t.TempDir()
		var all []*process
		for i := range r.cfg.Nodes {
			p := &process{r: r, id: dsm.NodeID(i), dir: filepath.Join(dir, fmt.Sprint(i))}
			p.woken = sync.NewCond(&p.mu)
			all = append(all, p)
			p.begin()
		}
		for range 5 {
			p := all[rng.IntN(len(all))]
			steps, at, lives := 1+rng.IntN(8), 0, 0
			ok := p.until(func() bool { at, lives = p.round, p.lives; return true }) &&
				p.until(func() bool { return p.round >= min(at+steps, rounds-1) })
			p.crash()
			if !ok {
				break
			}
			p.begin()
			if !p.until(func() bool { return p.lives > lives }) {
				break
			}
		}
		var faults error
		for _, p := range all {
			if p.fault == nil {
				<-p.end
			}
			faults = errors.Join(faults, p.fault)
		}
		if faults != nil {
			t.Fatal(faults)
		}
		found := 0
		for _, p := range all {
			found += p.found
		}
		if r.shelves() != (found > 0) {
			t.Errorf("%d pages were found on shelves", found)
		}
		for _, p := range all {
			for which := range uint32(4) {
				p.mu.Lock()
				for p.may[which/2] == dsm.None {
					p.do(dsm.Fault{Page: dsm.Page(which / 2)})
				}
				if got := int(p.mem[which/2][which]); got != rounds/4*r.cfg.Nodes {
					t.Errorf("%v counts %d at %d, not %d", p.id, got, which, rounds/4*r.cfg.Nodes)
				}
				p.mu.Unlock()
			}
			p.disk.Close()
		}
	})
}
