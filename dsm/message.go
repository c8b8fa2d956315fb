// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"lazystate/dsm/logs"
	"lazystate/dsm/vtime"
)

// Message is what one node says to another. Between two incarnations messages
// are numbered from 1; they may come doubled and out of order, but each must
// come unless an end of it dies.
type Message struct {
	From, To       NodeID
	FromInc, ToInc uint32
	Seq            uint64
	Ordinal        uint64 // the sender's synchronisation operations that have begun
	News           *News  // nil: none since the last message
	Body           Body
}

// Stamp timestamps a checkpoint (§4.4.1).
type Stamp struct {
	Number   uint32
	T        vtime.Time // T_ckp
	Ordinal  uint64
	Barriers uint64
}

// News is what LLT and CGC need of the sender (§4.5.5).
type News struct {
	Ckp   Stamp
	Bound vtime.Interval // V_H[receiver] of the oldest checkpoint (Theorem 2)
	Pages []PageBound    // that have changed (Theorem 1)
}

// Size is how many bytes it adds to a message (dsm/wire).
func (n News) Size() int { return 8*(4+len(n.Ckp.T)) + 12*len(n.Pages) }

// PageBound is p0.v[receiver] of a page.
type PageBound struct {
	Page  Page
	Bound vtime.Interval
}

// Body is the matter of a message.
type Body interface {
	// check notes what in it a node must not be told: see check.go.
	check(c *checker)
	// handle carries out what another node, or this one, asks for.
	handle(n *Node, from NodeID)
}

// WriterNotice is a write notice and whose it is.
type WriterNotice struct {
	Writer NodeID
	logs.Notice
}

// PageHome is a page's home.
type PageHome struct {
	Page Page
	Home NodeID
}

// LockReport is what a node knows of a lock.
type LockReport struct {
	Lock   uint32
	Have   bool
	Seq    uint64
	GaveTo NodeID    // at Seq, if it does not have it
	Next   []LockFwd // who come after it
}

// Registration is a process that sleeps on a condition variable, or will.
type Registration struct {
	Node    NodeID
	Ordinal uint64 // of its operation CondEnter
}

type (
	// HomeReq asks the directory where a page's home is; if it has none yet it
	// shall be Want.
	HomeReq struct {
		Page Page
		Want NodeID
	}
	// HomeRep answers it.
	HomeRep struct {
		Page Page
		Home NodeID
	}
	// PageReq asks a home for a page of at least a version: p.v^N.
	PageReq struct {
		Page Page
		Need vtime.Time
	}
	// PageRep answers it. V is the home's V_H.
	PageRep struct {
		Page  Page
		V     vtime.Time
		Bytes []byte
	}
	// Diffs are those of one interval for pages of the receiver.
	Diffs struct {
		Cut   logs.Cut
		Diffs []logs.Diff
	}

	// LockReq asks the manager for a lock.
	LockReq struct {
		Lock    uint32
		Ordinal uint64
		T       vtime.Time
	}
	// LockFwd tells who asked before whom to give it to next.
	LockFwd struct {
		Lock    uint32
		To      NodeID
		Ordinal uint64
		T       vtime.Time
	}
	// LockGrant is the token.
	LockGrant struct {
		Acquire logs.Acquire
		Notices []WriterNotice
	}

	// BarrierArrive says that all below the sender in the tree are there. Low and
	// High bound their times; Wants is true if one of them wants checkpoints.
	BarrierArrive struct {
		Number    uint64
		ID        uint32
		Low, High vtime.Time
		Wants     bool
		Notices   []WriterNotice
	}
	// BarrierRelease ends the barrier. Due is true if a node wanted checkpoints there.
	BarrierRelease struct {
		Barrier logs.Barrier
		Due     bool
		Notices []WriterNotice
	}

	// CondReg tells that a process will sleep; it is woken only after that.
	CondReg struct {
		Cond    uint32
		Ordinal uint64
	}
	// CondRegAck answers it.
	CondRegAck struct{ Ordinal uint64 }
	// CondSignal wakes one that is registered, or all.
	CondSignal struct {
		Cond    uint32
		Ordinal uint64
		All     bool
	}
	// CondSignalAck tells that those are awake. The signaller knows it for a
	// sleeper that is the manager itself.
	CondSignalAck struct {
		Ordinal uint64
		Woken   []Registration
	}
	// CondWake wakes the one that registered with Ordinal.
	CondWake struct {
		Cond    uint32
		Ordinal uint64
	}
	// CondWakeAck answers it.
	CondWakeAck struct {
		Cond    uint32
		Ordinal uint64
	}

	// Recover is the first word of a new incarnation: it restarts from a
	// checkpoint with this stamp.
	Recover struct{ Ckp Stamp }
	// RecoverAck answers it: from now on the sender hears nothing of the old
	// incarnation and lets no token go to the new one. Fwds are those that it, a
	// manager, has sent; served or not.
	RecoverAck struct{ Fwds []LockFwd }
	// Gather asks for the logs. All have acknowledged: what the logs have of the
	// receiver's past needs no interval that is not in another's log by now.
	Gather struct{}
	// Recovery answers it.
	Recovery struct {
		T        vtime.Time     // the sender's; its diffs up to T[sender] are in Diffs
		Received vtime.Interval // V_H[receiver] of the sender
		Ordinal  uint64         // the sender's operations that had begun
		Seen     uint64         // the receiver's last operation that the sender knows of
		Sent     logs.Acquires  // acq_sent_log[receiver]
		Rcvd     logs.Acquires  // acq_rcvd_log[receiver]
		Barriers logs.Barriers
		Cuts     []logs.Cuts   // by writer
		Notices  []logs.Notice // the sender's wn_log
		Diffs    []logs.Diff   // the sender's, for pages of the receiver
		Ragged   []logs.Diff   // the receiver's, for pages of the sender
		Homes    []PageHome
		Locks    []LockReport
		Waits    *LockReq // for which the sender waits
		Arrived  uint64   // at the barrier of that number; 0: it does not wait at one
		Sleeps   *CondReg // the sender's registration with the receiver
		Woken    uint64   // the sender's last registration that was woken
		WokeYou  uint64   // the receiver's, as far as the sender knows
	}
	// FetchCopy asks a home for p0 (Lemma 1).
	FetchCopy struct{ Page Page }
	// Copy answers it.
	Copy struct {
		Page  Page
		V     vtime.Time
		Bytes []byte
	}
	// FetchDiffs asks a writer for its diffs beyond V (Lemma 1).
	FetchDiffs struct {
		Page Page
		V    vtime.Time
	}
	// PageDiffs answers it.
	PageDiffs struct {
		Page  Page
		Diffs []logs.Diff
	}
	// Recovered ends a recovery: the diffs that the receiver, a home, lacks up to
	// interval Upto, and the sender's wn_log.
	Recovered struct {
		Upto    vtime.Interval
		Diffs   []logs.Diff
		Notices []logs.Notice
	}
	// Refused tells a node that its recovery cannot be.
	Refused struct{ Why string }
)

func (b HomeReq) handle(n *Node, from NodeID)       { n.onHomeReq(from, b) }
func (b HomeRep) handle(n *Node, _ NodeID)          { n.onHomeRep(b) }
func (b PageReq) handle(n *Node, from NodeID)       { n.onPageReq(from, b) }
func (b PageRep) handle(n *Node, _ NodeID)          { n.onPageRep(b) }
func (b Diffs) handle(n *Node, from NodeID)         { n.onDiffs(from, b) }
func (b LockReq) handle(n *Node, from NodeID)       { n.onLockReq(from, b) }
func (b LockFwd) handle(n *Node, _ NodeID)          { n.onLockFwd(b) }
func (b LockGrant) handle(n *Node, from NodeID)     { n.onLockGrant(from, b) }
func (b BarrierArrive) handle(n *Node, from NodeID) { n.onArrive(from, b) }
func (b BarrierRelease) handle(n *Node, _ NodeID)   { n.onRelease(b) }
func (b CondReg) handle(n *Node, from NodeID)       { n.onCondReg(from, b) }
func (b CondRegAck) handle(n *Node, _ NodeID)       { n.onCondRegAck(b) }
func (b CondSignal) handle(n *Node, from NodeID)    { n.onCondSignal(from, b) }
func (b CondSignalAck) handle(n *Node, _ NodeID)    { n.onCondSignalAck(b) }
func (b CondWake) handle(n *Node, from NodeID)      { n.onCondWake(from, b) }
func (b CondWakeAck) handle(n *Node, from NodeID)   { n.onCondWakeAck(from, b) }
func (b Recover) handle(n *Node, from NodeID)       { n.onRecover(from, b) }
func (b RecoverAck) handle(n *Node, from NodeID)    { n.onRecoverAck(from, b) }
func (b Gather) handle(n *Node, from NodeID)        { n.onGather(from) }
func (b Recovery) handle(n *Node, from NodeID)      { n.onRecovery(from, b) }
func (b FetchCopy) handle(n *Node, from NodeID)     { n.onFetchCopy(from, b) }
func (b Copy) handle(n *Node, _ NodeID)             { n.onCopy(b) }
func (b FetchDiffs) handle(n *Node, from NodeID)    { n.onFetchDiffs(from, b) }
func (b PageDiffs) handle(n *Node, _ NodeID)        { n.onPageDiffs(b) }
func (b Recovered) handle(n *Node, from NodeID)     { n.onRecovered(from, b) }
func (b Refused) handle(n *Node, from NodeID)       { n.onRefused(from, b) }
