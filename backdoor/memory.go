// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"context"
	"errors"
	"time"
)

// OpKind is what one remote operation does.
type OpKind uint8

const (
	OpRead     OpKind = iota + 1 // remote memory -> Buf
	OpWrite                      // Buf -> remote memory
	OpCmpSwap                    // 8 bytes, atomic where Caps.Atomics: Old = *Addr; if Old == Compare { *Addr = Swap }
	OpFetchAdd                   // 8 bytes, atomic where Caps.Atomics: Old = *Addr; *Addr += Swap
)

// Op is one one-sided operation on a target's memory, in the terms of an RDMA
// work request: a remote address, a key and a local buffer.
type Op struct {
	Kind OpKind
	Addr uint64 // remote address: Region.Addr + offset
	Key  uint32 // Region.Key
	Buf  []byte // local buffer; its length is the length of the transfer

	Compare, Swap uint64 // operands of the atomics (Swap: the addend of OpFetchAdd)
	Old           uint64 // result of the atomics

	Err error // nil after success; *AccessError, ErrFlushed or a carrier's error
}

// Batch is a list of operations posted together. The carrier runs them in
// order, as a reliable connected queue pair does: an operation after a write
// sees it, and after the first that fails the rest end with ErrFlushed.
// The buffers belong to the carrier until Wait returns nil or an operation's error.
type Batch struct {
	Ops    []Op
	done   chan struct{}
	repeat bool
	err    error
}

// Memory is a target's memory without its CPU (§3.3). It makes no promise that
// an operation is cheap: over RDMA each batch costs a round trip.
type Memory interface {
	// Post starts a batch and returns; it never waits for the target.
	// The carrier must call b.Complete exactly once, also after Close.
	Post(ctx context.Context, b *Batch)

	// Root returns the target's root record as the carrier sees it now. It is
	// how a caller notices a rebooted, replaced or withdrawn target.
	Root(ctx context.Context) ([]byte, error)

	// Bind tells the carrier the regions it may touch; operations outside
	// them end with *AccessError without reaching the target (the guard, §3.8).
	Bind(regions []Region) error

	Caps() Caps
	Close() error
}

// Caps is what a carrier can do.
type Caps struct {
	Carrier  string // "inic", "rdma", "bdtest"
	Atomics  bool   // OpCmpSwap and OpFetchAdd are atomic against the target's own CPUs
	NeedsCPU bool   // answers only while some CPU of the target runs (rxe)
	Writable bool   // this side may write
	Reset    bool   // implements Resetter
	CutsPort bool   // a fence cuts the target off its network too, whatever its CPUs do
	MaxBatch int    // most operations in one batch; 0: no limit

	// Of a carrier with ordered queues: how long one lost packet stalls a queue,
	// and over how many queues samples are spread (DECISION 25).
	Stall  time.Duration
	Queues int
}

// Resetter is a carrier that can reset the machine when no CPU takes interrupts.
type Resetter interface {
	Reset(ctx context.Context) error
}

// Prober checks the monitor's own side of the path (§3.4.2): port state,
// carrier, a second address. nil: the path is good as far as this side sees.
type Prober interface {
	Probe(ctx context.Context) error
}

var (
	ErrFlushed   = errors.New("not executed: an earlier operation of the batch failed")
	ErrClosed    = errors.New("memory is closed")
	ErrGone      = errors.New("target is gone")                                // power lost, killed, unplugged
	ErrReplaced  = errors.New("target was rebooted or replaced")               // another boot id
	ErrWithdrawn = errors.New("target withdrew its regions (module unloaded)") // generation 0 or changed
	// ErrUnanswered: nothing came back. It says nothing of the target where
	// Caps.NeedsCPU is false, and the operation may have been carried out.
	ErrUnanswered = errors.New("no answer over this carrier")
	ErrReadOnly   = errors.New("this side holds the target read-only (another monitor is the writer)")
)

// NewBatch returns a batch ready to be posted.
func NewBatch(ops ...Op) *Batch { return &Batch{Ops: ops, done: make(chan struct{})} }

// NewRepeatBatch returns a batch that may be posted again once it has
// completed and its one waiter knows: by a Wait that returned the operations'
// result, or by one receive from Done. A monitor samples with it, and allocates nothing.
func NewRepeatBatch(ops ...Op) *Batch {
	return &Batch{Ops: ops, done: make(chan struct{}, 1), repeat: true}
}

// Repeats reports whether the batch was made by NewRepeatBatch: a sample, which
// waits for nothing else that was posted.
func (b *Batch) Repeats() bool { return b.repeat }

// Complete ends the batch. Carriers call it once for each Post, after every
// Op.Err is set.
func (b *Batch) Complete() {
	b.err = nil
	for i := range b.Ops {
		if err := b.Ops[i].Err; err != nil {
			b.err = err
			break
		}
	}
	if b.repeat {
		b.done <- struct{}{}
		return
	}
	close(b.done)
}

// Err returns the first operation's error of a batch that has completed.
func (b *Batch) Err() error { return b.err }

// Done is closed when the batch has completed; of a repeat batch, one value
// comes for each time it was posted.
func (b *Batch) Done() <-chan struct{} { return b.done }

// Wait waits for the batch and returns the first operation's error.
// If ctx ends first the operations may still run and own their buffers.
func (b *Batch) Wait(ctx context.Context) error {
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Do posts ops as one batch and waits for it.
func Do(ctx context.Context, m Memory, ops ...Op) error {
	b := NewBatch(ops...)
	m.Post(ctx, b)
	return b.Wait(ctx)
}
