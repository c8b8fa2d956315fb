// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"lazystate/backdoor/uapi"
	"lazystate/dsm/call"
)

// Error is an operation that cannot end. Operations have no results that a
// program could go on without: they panic with it, and Run and Local return it.
type Error struct {
	Op  string
	Err error
}

func (e *Error) Error() string { return e.Op + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

var (
	errBusy  = errors.New("another goroutine uses the DSM: one of a process may")
	errLate  = errors.New("is for before the first operation, so that all nodes agree")
	errRange = errors.New("the program did not reserve it")
)

// setup is what a node begins with.
type setup struct {
	id, nodes    int
	pageSize     int
	locks, conds int
	region       []byte
	image        []byte // private state of the checkpoint to go on from; nil: the beginning
}

// engine carries calls out: a daemon beside the process, or the process alone.
type engine interface {
	Acquire(lock uint32) (call.Flags, error)
	Release(lock uint32) (call.Flags, error)
	Call(kind uint32, args ...uint64) (call.Flags, error)
	Checkpoint(private []byte, safe bool) error
}

// reserver is an engine that compares what nodes reserve.
type reserver interface {
	reserve(what string, size int) error
}

// Node is this process as a part of the program. One goroutine uses it, and the
// shared memory.
type Node struct {
	setup
	engine engine

	top   int // of the region: below it nothing is reserved
	lock  int // the next to be given out
	cond  int
	held  []bool
	ops   uint64
	busy  atomic.Bool
	state private
	due   bool // a checkpoint
	past  bool // the node does again what it did before it was lost
}

func newNode(s setup, e engine) (*Node, error) {
	n := &Node{setup: s, engine: e, top: len(s.region), held: make([]bool, s.locks)}
	if s.image == nil {
		return n, nil
	}
	if err := n.state.loaded.decode(s.image); err != nil {
		return nil, fmt.Errorf("private state of the checkpoint: %w", err)
	}
	return n, nil
}

// ID is this node's number, from 0 on.
func (n *Node) ID() int { return n.id }

// Nodes is how many there are.
func (n *Node) Nodes() int { return n.nodes }

// PageSize is the unit in which memory moves between nodes.
func (n *Node) PageSize() int { return n.pageSize }

// fail ends the program.
func fail(op string, err error) { panic(&Error{op, err}) }

// do is one call, begun and ended: whoever comes in between is another goroutine.
// Errors name what it is about, its first argument.
func (n *Node) do(kind uint32, about uint64, more ...uint64) {
	n.begin(kind, about)
	flags, err := n.engine.Call(kind, append([]uint64{about}, more...)...)
	n.end(flags, err, kind, about)
}

func (n *Node) begin(kind uint32, about uint64) {
	if !n.busy.CompareAndSwap(false, true) {
		fail(named(kind, about), errBusy)
	}
	n.ops++
}

func (n *Node) end(flags call.Flags, err error, kind uint32, about uint64) {
	n.due = n.due || flags.Due()
	n.past = flags.Replayed()
	n.busy.Store(false)
	if err != nil {
		fail(named(kind, about), err)
	}
}

func named(kind uint32, about uint64) string {
	return fmt.Sprintf("%s %d", uapi.DsmCallName(kind), about)
}

func (n *Node) acquire(lock int) {
	n.begin(uapi.DsmAcquire, uint64(lock))
	flags, err := n.engine.Acquire(uint32(lock))
	n.end(flags, err, uapi.DsmAcquire, uint64(lock))
}

func (n *Node) release(lock int) {
	n.begin(uapi.DsmRelease, uint64(lock))
	flags, err := n.engine.Release(uint32(lock))
	n.end(flags, err, uapi.DsmRelease, uint64(lock))
}

// heapLock guards the heap; programs have the locks before it.
func (n *Node) heapLock() int { return n.locks }

// Locks reserves count locks and returns the first. They are free.
func (n *Node) Locks(count int) int {
	n.reserve("locks", count)
	first := n.lock
	if count < 0 || count > n.locks-first {
		fail("locks", fmt.Errorf("%d more than %d, of %d", count, first, n.locks))
	}
	n.lock += count
	return first
}

// Conds reserves count condition variables and returns the first.
func (n *Node) Conds(count int) int {
	n.reserve("condition variables", count)
	first := n.cond
	if count < 0 || count > n.conds-first {
		fail("condition variables", fmt.Errorf("%d more than %d, of %d", count, first, n.conds))
	}
	n.cond += count
	return first
}

func (n *Node) reserve(what string, size int) {
	if n.ops > 0 {
		fail("reserve "+what, errLate)
	}
	r, ok := n.engine.(reserver)
	if !ok {
		return
	}
	if err := r.reserve(what, size); err != nil {
		fail("reserve "+what, err)
	}
}

// Lock takes a lock and sees what was written before it was released.
func (n *Node) Lock(lock int) {
	n.mine(lock, false)
	n.acquire(lock)
	n.held[lock] = true
}

// Unlock releases a lock that this node has.
func (n *Node) Unlock(lock int) {
	n.mine(lock, true)
	n.held[lock] = false
	n.release(lock)
}

// mine fails if the node has not the lock, or has it already.
func (n *Node) mine(lock int, held bool) {
	var err error
	switch {
	case lock < 0 || lock >= n.lock:
		err = errRange
	case n.held[lock] == held:
		return
	case held:
		err = errors.New("this node does not have it")
	default:
		err = errors.New("this node has it already")
	}
	fail(fmt.Sprintf("lock %d", lock), err)
}

// Barrier waits for all nodes and sees what each wrote before.
func (n *Node) Barrier() { n.do(uapi.DsmBarrier, 0) }

// Wait releases a lock and takes it again after a signal, or without one when a
// node was lost: callers look at what they wait for in a loop.
func (n *Node) Wait(cond, lock int) {
	n.known(cond)
	n.mine(lock, true)
	n.do(uapi.DsmWait, uint64(cond), uint64(lock))
}

// Signal wakes one node that waits.
func (n *Node) Signal(cond int) {
	n.known(cond)
	n.do(uapi.DsmSignal, uint64(cond))
}

// Broadcast wakes all that wait.
func (n *Node) Broadcast(cond int) {
	n.known(cond)
	n.do(uapi.DsmBroadcast, uint64(cond))
}

// Replayed is true while the node does what it did before it was lost, so that
// output can be left out that was written then.
func (n *Node) Replayed() bool { return n.past }

func (n *Node) known(cond int) {
	if cond < 0 || cond >= n.cond {
		fail(fmt.Sprintf("condition variable %d", cond), errRange)
	}
}

// guard runs a program and turns what fail says into an error. It ends when all
// have ended: until then pages are asked for.
func guard(n *Node, program func(*Node) error) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *Error:
			err = p
		default:
			panic(p)
		}
	}()
	if err := program(n); err != nil {
		return err
	}
	if lock := slices.Index(n.held, true); lock >= 0 {
		return fmt.Errorf("the program ends with lock %d", lock)
	}
	n.do(uapi.DsmEnd, 0)
	return nil
}
