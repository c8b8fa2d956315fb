// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"
)

// world knows everything: monitors with clocks of their own, the network
// between them, the targets' writer's places, and the true time. It is the
// omniscient model that the properties are stated in.
type world struct {
	now    time.Duration
	queue  queue
	serial int
	rng    *rand.Rand // nil: no chance at all
	delay  time.Duration
	loss   float64 // of a message, and as often it comes twice
	nodes  []*node
	places map[string]*place
	parted map[[2]string]bool
	said   []string // the story
	broken []string // what must never be
	frozen bool     // some clock stood still: beliefs may be wrong, places not
	told   bool     // reports are keys of a store that watches its clients' leases
}

// node is the driver of one Member.
type node struct {
	w       *world
	name    string
	cfg     Config
	m       *Member
	life    uint64 // starts so far
	up      bool
	paused  bool
	waiting []func() // for the end of a pause
	rate    float64
	offset  time.Duration
	serving map[string]uint64
	path    map[string]Path
	last    *Report // as it stands in the store, where there is one
}

// place is a target's writer's place, as a guard or a module keeps it (leased)
// or as flock does.
type place struct {
	leased  bool
	rate    float64
	epoch   uint64 // of the holder, or of the last one
	by      *node
	life    uint64
	held    bool
	end     time.Duration // true time
	accepts uint64        // epoch of the last write that was accepted
	writer  string
	refused int // writes of stale owners
}

type event struct {
	at time.Duration
	n  int
	fn func()
}

type queue []event

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at < q[j].at || q[i].at == q[j].at && q[i].n < q[j].n }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(event)) }
func (q *queue) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

func (w *world) after(d time.Duration, fn func()) {
	w.serial++
	heap.Push(&w.queue, event{w.now + d, w.serial, fn})
}

func (w *world) run(d time.Duration) {
	for end := w.now + d; ; {
		if len(w.queue) == 0 || w.queue[0].at > end {
			w.now = end
			return
		}
		e := heap.Pop(&w.queue).(event)
		w.now = e.at
		e.fn()
		w.check()
	}
}

func (w *world) say(format string, args ...any) {
	w.said = append(w.said, fmt.Sprintf("%8.3fs ", w.now.Seconds())+fmt.Sprintf(format, args...))
}

func (w *world) breaks(format string, args ...any) {
	w.broken = append(w.broken, fmt.Sprintf("%v: ", w.now)+fmt.Sprintf(format, args...))
}

// travel is how long a message takes; -1: it is lost.
func (w *world) travel() time.Duration {
	if w.rng == nil {
		return w.delay
	}
	if w.rng.Float64() < w.loss {
		return -1
	}
	return time.Duration(w.rng.Int64N(int64(w.delay) + 1))
}

// check holds after every event: nobody acts on a target while another does.
func (w *world) check() {
	if w.frozen {
		return
	}
	for name := range w.places {
		var acting []string
		for _, n := range w.nodes {
			if n.acts(name) {
				acting = append(acting, n.name)
			}
		}
		if len(acting) > 1 {
			w.breaks("%s has the owners %v", name, acting)
		}
	}
}

func (n *node) acts(target string) bool {
	if !n.up || n.paused {
		return false
	}
	epoch, serves := n.serving[target]
	owns, ok := n.m.Owning(n.clock(), target)
	return serves && ok && owns == epoch
}

func (n *node) clock() time.Duration { return n.offset + time.Duration(float64(n.w.now)*n.rate) }

func (n *node) start() {
	n.up, n.paused, n.life, n.last = true, false, n.life+1, nil
	n.serving = map[string]uint64{}
	n.m = NewMember(n.cfg)
	for _, t := range n.cfg.Targets {
		n.step(Link{t.Name, n.path[t.Name], "boot"})
	}
	for _, other := range n.w.nodes {
		if n.w.told && other != n && other.up && other.last != nil {
			other.send(n, other.last)
		}
	}
	n.tick(n.life)
	n.work(n.life)
}

func (n *node) kill() {
	n.up, n.waiting = false, nil
	if life := n.life; n.w.told {
		n.w.after(n.cfg.Term(), func() {
			for _, other := range n.w.nodes {
				if other != n && n.life == life {
					other.tell(other.life, func() { other.step(Gone{n.name, "its lease has ended"}) })
				}
			}
		})
	}
	for _, p := range n.w.places {
		if !p.leased && p.by == n && p.life == n.life {
			p.held = false // the kernel closes its files
		}
	}
}

// tell runs fn on the node if it is still the same life, after a pause if it
// is paused now.
func (n *node) tell(life uint64, fn func()) {
	switch {
	case !n.up || n.life != life:
	case n.paused:
		n.waiting = append(n.waiting, func() { n.tell(life, fn) })
	default:
		fn()
	}
}

func (n *node) resume() {
	n.paused = false
	waiting := n.waiting
	n.waiting = nil
	for _, fn := range waiting {
		fn()
	}
}

func (n *node) tick(life uint64) {
	n.tell(life, func() {
		n.step(Tick{})
		if n.m.Left() {
			n.w.say("%s has left", n.name)
			n.kill()
			return
		}
		n.w.after(time.Duration(float64(n.cfg.Beat()/4)/n.rate), func() { n.tick(life) })
	})
}

// work writes to every target that is owned, now and then.
func (n *node) work(life uint64) {
	n.tell(life, func() {
		for target := range n.w.places {
			if epoch := n.serving[target]; n.acts(target) && n.path[target] != PathFailed {
				p := n.w.places[target]
				if d := n.w.travel(); d >= 0 && p.leased {
					n.w.after(d, func() { p.write(n, epoch) })
				} else if !p.leased {
					p.write(n, epoch)
				}
			}
		}
		n.w.after(n.cfg.Lease/20, func() { n.work(life) })
	})
}

func (n *node) step(in Input) {
	for _, a := range n.m.Step(n.clock(), in) {
		n.do(a)
	}
}

func (n *node) do(a Action) {
	w := n.w
	switch a := a.(type) {
	case Claim:
		n.claim(a)
	case Renew:
		n.ask(a.Target, 0, a.Epoch)
	case Serve:
		w.say("%s owns %s, epoch %d", n.name, a.Target, a.Epoch)
		n.serving[a.Target] = a.Epoch
	case Yield:
		to := ""
		if a.Heir != "" {
			to = " to " + a.Heir
		}
		w.say("%s yields %s%s: %s", n.name, a.Target, to, a.Why)
		delete(n.serving, a.Target)
		n.release(a)
	case Tell:
		if w.told && n.last != nil && reflect.DeepEqual(n.last.Lines, a.Report.Lines) && n.last.Leaving == a.Report.Leaving {
			return
		}
		n.last = a.Report
		for _, other := range w.nodes {
			if other != n {
				n.send(other, a.Report)
			}
		}
	}
}

func (n *node) send(to *node, r *Report) {
	w, conn := n.w, n.life
	for range 2 {
		d := w.travel()
		if d >= 0 && !w.parted[[2]string{n.name, to.name}] {
			w.after(d, func() {
				if to.up {
					to.tell(to.life, func() { to.step(Heard{conn, r}) })
				}
			})
		}
		if w.rng == nil || w.rng.Float64() >= w.loss { // as often as it is lost, it comes twice
			return
		}
	}
}

// claim looks what the last epoch was, and asks for the next.
func (n *node) claim(c Claim) {
	life, p := n.life, n.w.places[c.Target]
	d := n.w.travel()
	if d < 0 || n.path[c.Target] == PathFailed {
		n.later(2*n.cfg.Beat(), func() { n.step(Refused{Target: c.Target, Ask: c.Ask, Why: "no answer"}) })
		return
	}
	epoch := p.epoch + 1
	n.w.after(d, func() { n.tell(life, func() { n.ask(c.Target, c.Ask, epoch) }) })
}

func (n *node) later(d time.Duration, fn func()) {
	life := n.life
	n.w.after(d, func() { n.tell(life, fn) })
}

// ask sends one Own to the place; the answer may be lost after it was given.
func (n *node) ask(target string, ask, epoch uint64) {
	w, life, p, sent := n.w, n.life, n.w.places[target], n.clock()
	there, back := w.travel(), w.travel()
	if !p.leased {
		there, back = 0, 0
	}
	reach := n.path[target] != PathFailed
	answer := Input(Refused{Target: target, Ask: ask, Epoch: epoch, Why: "no answer"})
	took := 2 * n.cfg.Beat()
	deliver := func() { n.tell(life, func() { n.step(answer) }) }
	if there >= 0 && reach {
		w.after(there, func() {
			no := p.own(n, life, epoch)
			if back < 0 {
				return
			}
			if no != nil {
				no.Target, no.Ask, no.Epoch = target, ask, epoch
				answer = *no
			} else {
				g := Granted{Target: target, Ask: ask, Epoch: epoch}
				if p.leased {
					g.Until = Proof(sent, n.cfg.Term())
				}
				answer = g
			}
			w.after(back, deliver)
		})
		if back >= 0 {
			return
		}
	}
	w.after(took, deliver)
}

func (p *place) own(n *node, life, epoch uint64) *Refused {
	w := n.w
	if !p.leased && (!n.up || n.life != life) {
		return &Refused{Why: "dead"}
	}
	held := p.held && (!p.leased || w.now < p.end)
	switch {
	case held && p.by != n:
		no := &Refused{Holder: p.by.name, Lost: true}
		if p.leased {
			no.Left = p.end - w.now
		}
		return no
	case epoch < p.epoch, epoch == p.epoch && p.by != n:
		return &Refused{Why: "stale", Lost: true}
	}
	p.by, p.life, p.epoch, p.held = n, life, epoch, true
	p.end = w.now + time.Duration(float64(n.cfg.Term())/p.rate)
	return nil
}

// write is the fence: what is not of the present owner changes nothing.
func (p *place) write(n *node, epoch uint64) {
	if !p.held || p.by != n || p.epoch != epoch {
		p.refused++
		return
	}
	if epoch < p.accepts || epoch == p.accepts && p.writer != n.name {
		n.w.breaks("a write of %s, epoch %d, after one of %s, epoch %d", n.name, epoch, p.writer, p.accepts)
	}
	p.accepts, p.writer = epoch, n.name
}

// release gives the place up, if it can be reached, and answers in any case.
func (n *node) release(y Yield) {
	life, p := n.life, n.w.places[y.Target]
	d := n.w.travel()
	if d >= 0 && (n.path[y.Target] != PathFailed || !p.leased) {
		n.w.after(d, func() {
			if p.by == n && p.epoch == y.Epoch && (p.leased || n.up && n.life == life) {
				p.held = false
			}
			n.tell(life, func() { n.step(Released{y.Target, y.Epoch}) })
		})
		return
	}
	n.later(2*n.cfg.Beat(), func() { n.step(Released{y.Target, y.Epoch}) })
}

// newWorld has fixed delays and true clocks; who wants chance sets rng.
func newWorld(cfg Config, leased bool) *world {
	w := &world{delay: time.Millisecond, told: cfg.Told, places: map[string]*place{}, parted: map[[2]string]bool{}}
	for _, t := range cfg.Targets {
		w.places[t.Name] = &place{leased: leased, rate: 1}
	}
	for _, name := range cfg.Monitors {
		n := &node{w: w, name: name, cfg: cfg, rate: 1, path: map[string]Path{}}
		n.cfg.Self = name
		n.cfg.Targets = slices.Clone(cfg.Targets)
		for i, t := range cfg.Targets {
			n.path[t.Name] = PathGood
			n.cfg.Targets[i].Slot = uint32(len(w.nodes))
		}
		w.nodes = append(w.nodes, n)
	}
	return w
}

func (w *world) node(name string) *node {
	return w.nodes[slices.IndexFunc(w.nodes, func(n *node) bool { return n.name == name })]
}

func (n *node) setPath(target string, p Path) {
	n.path[target] = p
	if n.up {
		n.tell(n.life, func() { n.step(Link{target, p, "boot"}) })
	}
}
