// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"fmt"

	"lazystate/dsm/diff"
	"lazystate/dsm/logs"
	"lazystate/dsm/vtime"
)

// Node is one process's side of the protocol. It is not safe for concurrent use.
type Node struct {
	cfg Config
	mem Memory
	scn Scanner // mem, if it is one

	scratch []byte // of a page, while it is diffed

	inc     uint32     // incarnation
	t       vtime.Time // T_i
	v       vtime.Time // V_H: of pages homed here no diff up to it is missing
	ordinal uint64     // operations that have begun
	op      *Op        // that has begun and is not over
	fault   *Fault     // that is not over
	lastCut logs.Cut

	pages   []page
	dirty   map[Page]bool // written in this interval, or maybe
	stream  stream
	waiting []pageWait // others, for versions of homed pages
	peers   []peer
	locks   []lock
	bar     barrier
	cond    condWaiter
	conds   condManager

	notices  []logs.Notices // by writer
	cuts     []logs.Cuts    // by writer
	diffs    logs.Diffs
	ragged   logs.Ragged     // of others, for homed pages
	sent     []logs.Acquires // acq_sent_log, by acquirer
	rcvd     []logs.Acquires // acq_rcvd_log, by who sent
	barriers logs.Barriers

	window logs.Window
	races  map[Page]*marks     // Races: of homed pages
	p0     map[Page]vtime.Time // PerPage: p0.v of homed pages, as of the last collection
	p0Turn uint64              // rises when one of them does
	stamp  Stamp               // of the last checkpoint that is saved
	saving *State              // on its way to stable storage
	safe   uint64              // of LogCreated, what was in checkpoints
	taken  uint64              // the same, with the one that is being saved

	rec      *recovery // nil if live
	deferred []*Message
	failed   error
	count    Counters

	out  []Effect
	loop []Body // from this node to itself
}

// page is one page as this node sees it.
type page struct {
	home    NodeID
	homed   bool       // home is known
	access  Access     // None: it lacks something
	asked   bool       // another was asked about it, and has not answered
	ahead   Access     // that the program will want, but does not wait for
	shelved bool       // its last version lies on this node's shelf
	need    vtime.Time // p.v^N: the least version that an access needs; nil: the beginning
	v       vtime.Time // p.v at the home; nil: the beginning
	twin    []byte     // as it was before the first write of this interval
	stash   diff.Diff  // of a dirty page that was invalidated: what it had that the home has not
}

// peer is what is known of another node.
type peer struct {
	inc        uint32
	sendSeq    uint64
	recvSeq    uint64
	early      map[uint64]*Message     // that came before others
	recovering bool                    // from Recover to Recovered
	silent     bool                    // from Recover to Gather: it is sent no token
	ordinal    uint64                  // that it was seen at
	ckp        Stamp                   // of its last checkpoint that is known: T_ckp^
	bound      vtime.Interval          // V_H^[self] of its oldest checkpoint
	bounds     map[Page]vtime.Interval // p0.v^[self] of its pages
	told       News                    // what it has been sent
	toldTurn   uint64                  // of the node's p0, the last that it has been sent
	toldPages  map[Page]vtime.Interval
	floor      floor
}

// New returns a node at the beginning: all pages are zeros, the tokens are with
// their managers, and nothing has happened.
func New(cfg Config, mem Memory) *Node {
	n := blank(cfg, mem, 1)
	n.placeAll()
	return n
}

func blank(cfg Config, mem Memory, inc uint32) *Node {
	n := &Node{
		cfg: cfg, mem: mem, inc: inc, t: vtime.New(cfg.Nodes), v: vtime.New(cfg.Nodes),
		pages: make([]page, cfg.Pages), dirty: map[Page]bool{}, peers: make([]peer, cfg.Nodes), locks: make([]lock, cfg.Locks),
		notices: make([]logs.Notices, cfg.Nodes), cuts: make([]logs.Cuts, cfg.Nodes),
		sent: make([]logs.Acquires, cfg.Nodes), rcvd: make([]logs.Acquires, cfg.Nodes),
		bar:    barrier{last: vtime.New(cfg.Nodes), arrived: map[NodeID]BarrierArrive{}},
		conds:  newCondManager(cfg),
		window: logs.Window{logs.Beginning(cfg.Nodes)}, p0: map[Page]vtime.Time{}, races: map[Page]*marks{},
		stamp: Stamp{T: vtime.New(cfg.Nodes)},
	}
	n.scn, _ = mem.(Scanner)
	n.scratch = make([]byte, cfg.PageSize)
	for i := range n.peers {
		n.peers[i] = peer{inc: 1, ckp: Stamp{T: vtime.New(cfg.Nodes)}, bounds: map[Page]vtime.Interval{}}
		n.peers[i].forget()
	}
	for l := range n.locks {
		n.locks[l] = newLock(cfg, n.manager(uint32(l)))
	}
	return n
}

// placeAll gives pages the homes of the configuration.
func (n *Node) placeAll() {
	if n.cfg.Home == nil {
		return
	}
	for p := range n.pages {
		if home, ok := n.cfg.Home(Page(p)); ok {
			n.setHome(Page(p), home)
		}
	}
}

// Step takes one input and returns what is to be done, in order.
func (n *Node) Step(in Input) []Effect {
	n.out = nil
	if n.failed != nil {
		return nil
	}
	switch in := in.(type) {
	case Begin:
		n.begin(in.Op)
	case Alone:
		n.alone(in.Ops)
	case Fault:
		n.beginFault(in)
	case Prefetch:
		n.prefetch(in)
	case Deliver:
		n.deliver(in.Message)
	case Found:
		n.found(in)
	case Wanted:
		n.wanted(in.Pages)
	case Checkpoint:
		n.checkpoint()
	case Want:
		n.bar.wants = true
	case Saved:
		n.saved(in.Number)
	case NotSaved:
		n.notSaved(in.Number)
	case Loaded:
		n.loaded(in)
	case NotLoaded:
		n.send(in.To, Refused{fmt.Sprintf("its copy of page %d cannot be read: %s", in.Page, in.Why)})
	case Collect:
		n.collect()
	case Down:
		n.down(in.Node)
	}
	n.turn()
	return n.out
}

// turn hears what this node said to itself.
func (n *Node) turn() {
	for len(n.loop) > 0 && n.failed == nil {
		b := n.loop[0]
		n.loop = n.loop[1:]
		b.handle(n, n.cfg.Self)
	}
}

// Live is false while the node recovers.
func (n *Node) Live() bool { return n.rec == nil && n.failed == nil }

// Time is the node's vector time.
func (n *Node) Time() vtime.Time { return n.t.Clone() }

// Ordinal counts the program's operations.
func (n *Node) Ordinal() uint64 { return n.ordinal }

// LogBytes is the size of the diff log.
func (n *Node) LogBytes() int { return n.diffs.Bytes() }

// UnsavedBytes is how much of it no checkpoint has: the volatile log, which the policy of
// log overflow compares with its limit (§4.7). What is saved goes when the homes have
// checkpoints, and a checkpoint more of this node's would not change that.
func (n *Node) UnsavedBytes() int {
	return min(int(n.count.LogCreated-n.safe), n.diffs.Bytes())
}

// do asks the driver for something. Refuse is the last: what is half done when
// it is found wrong, as a grant that lacks notices, must not leave.
func (n *Node) do(e Effect) {
	if n.failed == nil {
		n.out = append(n.out, e)
	}
}

// refuse ends the node: going on would be wrong.
func (n *Node) refuse(format string, args ...any) {
	if n.failed == nil {
		err := fmt.Errorf(format, args...)
		n.do(Refuse{err})
		n.failed = err
	}
}

func (n *Node) ignore(from NodeID, format string, args ...any) {
	n.do(Ignored{from, fmt.Sprintf(format, args...)})
}

// begin starts an operation of the program.
func (n *Node) begin(op Op) {
	if n.op != nil || n.fault != nil {
		n.refuse("%v begins in the midst of another operation or access", op)
		return
	}
	if err := op.check(n.cfg); err != nil {
		n.refuse("%v: %w", op, err)
		return
	}
	n.op = &op
	if n.rec != nil {
		n.replay()
		return
	}
	n.ordinal++
	n.live(op)
}

// live carries an operation out.
func (n *Node) live(op Op) {
	switch op.Kind {
	case Acquire:
		n.acquire(op.ID)
	case Release:
		n.release(op.ID)
	case Barrier:
		n.arrive()
	case CondEnter:
		n.send(n.condManager(op.ID), CondReg{op.ID, n.ordinal})
	case CondSleep:
		n.sleep()
	case Signal, Broadcast:
		n.send(n.condManager(op.ID), CondSignal{op.ID, n.ordinal, op.Kind == Broadcast})
	case Place:
		n.place(Page(op.ID), op.Node)
	}
}

// done ends the operation.
func (n *Node) done() {
	op := *n.op
	n.op = nil
	n.do(Done{op})
}

// doing is true if the program waits for an operation of this kind on id.
func (n *Node) doing(kind OpKind, id uint32) bool {
	return n.op != nil && n.op.Kind == kind && n.op.ID == id
}
