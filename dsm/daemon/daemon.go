// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/dsm"
	"lazystate/dsm/logs"
	"lazystate/dsm/pager"
)

// RefusedError is a node that cannot go on, and would not if it were restarted.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return "the node cannot go on: " + e.Err.Error() }

func (e *RefusedError) Unwrap() error { return e.Err }

// Daemon is one node.
type Daemon struct {
	cfg   Config
	log   *slog.Logger
	disk  *disk
	inc   uint32
	start func() // makes the node; see Start
	die   func(program int)

	mu     sync.Mutex
	node   *dsm.Node      // nil until Start
	early  []*dsm.Message // that came before
	mem    *pager.Pager
	net    Network
	prog   *program // nil until it is there
	tokens []bool   // that the program may have without a call
	resume *[]byte  // private state to go on from; nil: the program begins
	saves  []byte   // private state of the checkpoint that is being taken
	lost   map[dsm.NodeID]time.Time
	due    due
	times  Times
	came   time.Time // who has the lock, see enter
	over   bool      // the program has no more to do, and no other
	err    error
	failed chan struct{} // err is there
	ended  chan struct{} // the program has hung up
	parted chan struct{} // all have; see Part
}

// New begins an incarnation of a node. Nobody hears of it before Start.
func New(cfg Config, store Store) (*Daemon, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	inc, st, private, window, err := store.Begin()
	if err != nil {
		return nil, fmt.Errorf("begin an incarnation: %w", err)
	}
	mem, err := pager.New(cfg.Core.Pages, cfg.Core.PageSize, cfg.Mode)
	if err != nil {
		return nil, err
	}
	cfg.Core.Locks++ // the heap's
	cfg.Collect = cmp.Or(cfg.Collect, collectEvery)
	d := &Daemon{
		cfg: cfg, log: cfg.Log.With("node", cfg.Core.Self, "incarnation", inc), inc: inc, mem: mem, die: die,
		tokens: make([]bool, cfg.Core.Locks), lost: map[dsm.NodeID]time.Time{},
		due: due{policy: cfg.Policy, last: time.Now()}, failed: make(chan struct{}), ended: make(chan struct{}), parted: make(chan struct{}),
	}
	if st != nil {
		d.resume = &private
	}
	d.disk = newDisk(store, d.told)
	d.start = func() { d.begin(st, window) }
	return d, nil
}

// Incarnation counts this node's lives.
func (d *Daemon) Incarnation() uint32 { return d.inc }

// Start makes the node. If it lived before, it says so to all others; they are
// there by now.
func (d *Daemon) Start(net Network) {
	d.enter()
	d.net = net
	d.start()
	for _, m := range d.early {
		d.step(dsm.Deliver{Message: m})
	}
	d.early = nil
	d.leave()
	go d.watch()
}

func (d *Daemon) begin(st *dsm.State, window []logs.Kept) {
	if d.inc == 1 && st == nil {
		d.node = dsm.New(d.cfg.Core, d.mem.Memory())
		return
	}
	number := uint32(0)
	if st != nil {
		number = st.Number
	}
	d.log.Info("recovers", "checkpoint", number, "kept", len(window))
	var effects []dsm.Effect
	d.node, effects = dsm.Restart(d.cfg.Core, d.mem.Memory(), st, window, d.inc)
	if at := d.cfg.KillAt; at > 0 && d.node.Ordinal() >= at {
		d.log.Warn("is not killed as was asked for: its checkpoint has that operation behind it", "operation", at, "begins behind", d.node.Ordinal())
	}
	d.perform(effects)
}

// Close ends what Serve does, and lets go of the region. The program is killed if
// it lives.
func (d *Daemon) Close() error {
	d.mu.Lock()
	d.fail(errClosed)
	p := d.prog
	d.mu.Unlock()
	d.disk.close()
	if p != nil {
		return p.server.Close()
	}
	return nil
}

var errClosed = errors.New("closed")

// enter takes the lock. What the program did without a call is in the node then.
func (d *Daemon) enter() {
	d.mu.Lock()
	d.came = time.Now()
	if d.prog != nil && d.err == nil {
		d.takeAlone()
	}
}

// leave gives it back when all that can be done is. Whoever waits, here or at the
// other end of a link, is woken only then: it would run at once, and meet a lock that
// is held.
func (d *Daemon) leave() {
	if d.prog != nil && d.node != nil {
		d.advance()
	}
	if err := d.mem.Settle(); err != nil {
		d.fail(fmt.Errorf("the region: %w", err))
	}
	p, net := d.prog, d.net
	var answer *ending
	if p != nil {
		if answer = d.answer(); d.err == nil && d.mayOpen() {
			p.server.Open()
		}
	}
	wake := d.mem.Woken()
	d.times.Busy += time.Since(d.came)
	d.mu.Unlock()
	if net != nil { // first: the way there is the longest
		net.Flush()
	}
	wake()
	if answer != nil {
		p.server.Answer(answer.cause, answer.flags, answer.why)
	}
}

// fail ends this node, once. A program that waits for an operation is told.
func (d *Daemon) fail(err error) {
	if d.err != nil {
		return
	}
	d.err = err
	if d.prog != nil && d.prog.call != nil {
		d.prog.ended = &ending{cause: uapi.DsmRefused, why: err.Error()}
	}
	close(d.failed)
}

// step gives the node an input and does what it asks for.
func (d *Daemon) step(in dsm.Input) {
	if d.err == nil {
		d.perform(d.node.Step(in))
	}
}

func (d *Daemon) perform(effects []dsm.Effect) {
	var looks []dsm.Look
	var old []dsm.Page
	for _, e := range effects {
		switch e := e.(type) {
		case dsm.Send:
			d.net.Send(e.Message)
		case dsm.Shelve:
			d.net.Shelve(e)
		case dsm.Outdated:
			old = append(old, e.Pages...)
		case dsm.Look:
			looks = append(looks, e)
		case dsm.Due:
			d.due.all = true
		case dsm.Done:
			if d.prog.busy = false; d.prog.parts {
				close(d.parted)
			}
		case dsm.Resume:
			d.mem.Resume(e.Page)
			d.prog.faults = false
			d.times.Pages += time.Since(d.prog.since)
		case dsm.Token:
			d.token(e.Lock, e.Here)
		case dsm.Save:
			d.save(e.State)
		case dsm.Load:
			d.disk.do(job{kind: load, number: e.Number, page: e.Page, to: e.To})
		case dsm.Discard:
			d.disk.do(job{kind: discard, number: e.Number})
		case dsm.DiscardPage:
			d.disk.do(job{kind: discardPage, number: e.Number, page: e.Page})
		case dsm.Race:
			d.log.Error("the program has a data race: two nodes wrote the same byte, neither after the other",
				"page", e.Page, "byte", e.Off, "address", fmt.Sprintf("%#x", d.cfg.Base+uint64(e.Page)*uint64(d.cfg.Core.PageSize)+uint64(e.Off)), "nodes", []dsm.NodeID{e.One, e.Two})
		case dsm.Live:
			d.log.Info("lives", "operation", d.node.Ordinal())
		case dsm.Ignored:
			d.log.Warn("ignores a message", "from", e.From, "why", e.Why)
		case dsm.Refuse:
			d.fail(&RefusedError{e.Err})
		}
	}
	if len(old) > 0 {
		d.step(dsm.Wanted{Pages: d.net.Taken(old)})
	}
	for _, e := range looks { // last: what follows is sent behind what was sent above
		if f, now := d.net.Look(e); now {
			d.step(f)
		}
	}
}

// token notes that the program may have a lock without a call, or not any more.
func (d *Daemon) token(lock uint32, here bool) {
	d.tokens[lock] = here
	if d.prog != nil {
		d.prog.server.Token(lock, here)
	}
}

// takeAlone brings what the program did without a call into the node.
func (d *Daemon) takeAlone() {
	done, err := d.prog.server.Shut()
	if err != nil {
		d.fail(&RefusedError{fmt.Errorf("the program's ring: %w", err)})
		return
	}
	if len(done) == 0 {
		return
	}
	ops := make([]dsm.Op, len(done))
	for i, op := range done {
		ops[i] = dsm.Op{Kind: dsm.Acquire, ID: op.Lock}
		if op.Kind == uapi.DsmRelease {
			ops[i].Kind = dsm.Release
		}
	}
	d.step(dsm.Alone{Ops: ops})
}

// mayOpen is true if the program may do operations without a call.
func (d *Daemon) mayOpen() bool {
	return d.node.Live() && d.prog.call == nil && !d.prog.faults && d.cfg.KillAt == 0 && !d.due.news
}

// die ends program and daemon as a crash would.
func die(program int) {
	_ = unix.Kill(program, unix.SIGKILL)
	_ = unix.Kill(unix.Getpid(), unix.SIGKILL)
}

// kill does what Config.KillAt asks for.
func (d *Daemon) kill() {
	c := d.node.Counters()
	d.log.Warn("is killed, as was asked for", "operation", d.node.Ordinal()+1, "live", d.node.Live(), "checkpoints", c.Saved, "discarded", c.LogGone)
	program, err := d.prog.server.Peer()
	if err != nil {
		d.fail(err)
		return
	}
	d.die(int(program.Pid))
}
