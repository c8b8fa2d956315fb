// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"fmt"

	"lazystate/dsm/vtime"
)

// OpKind is a synchronisation operation.
type OpKind uint8

const (
	Acquire OpKind = iota
	Release
	Barrier
	CondEnter // before the lock is released: from now on a signal is not lost
	CondSleep // after it: until woken
	Signal
	Broadcast
	Place // give a page a home, if it has none
)

func (k OpKind) String() string {
	names := [...]string{"acquire", "release", "barrier", "cond-enter", "cond-sleep", "signal", "broadcast", "place"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("operation of kind %d", uint8(k))
}

// Op is an operation on a lock, barrier, condition variable or page. A wait on a
// condition variable is CondEnter, Release, CondSleep, Acquire. It may wake for
// nothing after a node was lost.
type Op struct {
	Kind OpKind
	ID   uint32
	Node NodeID // of Place
}

func (o Op) String() string { return fmt.Sprintf("%v(%d)", o.Kind, o.ID) }

// Input is what a Node is told.
type Input interface{ input() }

type (
	// Begin is the program's next operation. It waits for Done.
	Begin struct{ Op Op }
	// Alone are acquires and releases of locks whose tokens are here (Token), which the
	// program has done by itself: all at once, in order, since the last input.
	Alone struct{ Ops []Op }
	// Fault is the program's access to a page that it may not do so far. It waits
	// for Resume.
	Fault struct {
		Page  Page
		Write bool
	}
	// Prefetch says that the program is about to access pages, For Read or Write. It
	// does not wait.
	Prefetch struct {
		Pages []Page
		For   Access
	}
	// Deliver is a message.
	Deliver struct{ Message *Message }
	// Checkpoint asks for one. The program stands right behind an operation. None
	// is taken while the node recovers or another is on its way.
	Checkpoint struct{}
	// Want has all nodes told (Due), at the next barrier, that they should take theirs: so
	// that none waits at a later one for another that takes it alone (§4.7.1). It is no
	// more than a wish, and forgotten by who is lost.
	Want struct{}
	// Saved answers Save: the checkpoint will be there after a crash.
	Saved struct{ Number uint32 }
	// NotSaved answers it too: it will not.
	NotSaved struct{ Number uint32 }
	// Loaded answers Load.
	Loaded struct {
		To     NodeID
		Number uint32
		Page   Page
		Bytes  []byte
	}
	// NotLoaded answers it too: the page cannot be read.
	NotLoaded struct {
		To   NodeID
		Page Page
		Why  string
	}
	// Found answers Look: what lay there. V is nil if nothing did. Bytes are the node's
	// from now on, as those of a PageRep are.
	Found struct {
		Home        NodeID
		Incarnation uint32
		Page        Page
		V           vtime.Time // the home's V_H as the page was laid out
		Ordinal     uint64     // its operations that had begun by then
		Bytes       []byte
	}
	// Wanted answers Outdated: of which of these somebody has taken what lies there.
	// It may come late or not at all.
	Wanted struct{ Pages []Page }
	// Collect runs LLT and CGC with what is known now.
	Collect struct{}
	// Down is another node that is dead and not yet restarted.
	Down struct{ Node NodeID }
)

func (Begin) input()      {}
func (Alone) input()      {}
func (Fault) input()      {}
func (Prefetch) input()   {}
func (Deliver) input()    {}
func (Checkpoint) input() {}
func (Want) input()       {}
func (Saved) input()      {}
func (NotSaved) input()   {}
func (Loaded) input()     {}
func (NotLoaded) input()  {}
func (Found) input()      {}
func (Wanted) input()     {}
func (Collect) input()    {}
func (Down) input()       {}

// Effect is what a Node asks its driver to do.
type Effect interface{ effect() }

type (
	// Send is a message on its way.
	Send struct{ *Message }
	// Done ends an operation.
	Done struct{ Op Op }
	// Resume ends a fault.
	Resume struct{ Page Page }
	// Token says whether a lock's token is here and nobody waits for it. As long as
	// that is so, and the node is live, an Acquire and its Release end at once and
	// need nobody: a driver may let the program go on and tell of them later (Alone),
	// before any other input.
	Token struct {
		Lock uint32
		Here bool
	}
	// Due says, before Done, that a node has asked for checkpoints at this barrier (Want).
	Due struct{}
	// Save is a checkpoint to write, together with the program's private state as
	// it is at the call. Nobody changes it any more.
	Save struct{ State *State }
	// Load asks for a page of a checkpoint that was saved.
	Load struct {
		To     NodeID
		Number uint32
		Page   Page
	}
	// Discard is a checkpoint that nobody needs.
	Discard struct{ Number uint32 }
	// DiscardPage is a page of a checkpoint that nobody needs.
	DiscardPage struct {
		Number uint32
		Page   Page
	}
	// Shelve lays a homed page out where other nodes can read it without this one
	// (Config.Shelves): for each page, what came last.
	Shelve struct {
		Page    Page
		V       vtime.Time
		Ordinal uint64
		Bytes   []byte
	}
	// Outdated are pages that were laid out and have a newer version now. Who needs
	// that asks; or it is laid out again, if Wanted says so.
	Outdated struct{ Pages []Page }
	// Look reads a page off the shelf of its home, of that incarnation and no other.
	// It is answered by Found.
	Look struct {
		Home        NodeID
		Incarnation uint32
		Page        Page
	}
	// Race is a byte of a page homed here that two nodes wrote, neither after the other: the
	// program has a data race. It is said once a page.
	Race struct {
		Page     Page
		Off      int
		One, Two NodeID
	}
	// Live says that the recovery is over.
	Live struct{}
	// Ignored is a message that cannot be right.
	Ignored struct {
		From NodeID
		Why  string
	}
	// Refuse says that this node cannot go on, and why. It does nothing any more.
	Refuse struct{ Err error }
)

func (Send) effect()        {}
func (Done) effect()        {}
func (Resume) effect()      {}
func (Token) effect()       {}
func (Due) effect()         {}
func (Save) effect()        {}
func (Load) effect()        {}
func (Discard) effect()     {}
func (DiscardPage) effect() {}
func (Shelve) effect()      {}
func (Outdated) effect()    {}
func (Look) effect()        {}
func (Race) effect()        {}
func (Live) effect()        {}
func (Ignored) effect()     {}
func (Refuse) effect()      {}
