// SPDX-License-Identifier: Apache-2.0

package bdtest

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
)

// Memory is the carrier to a synthetic target, and its faults. The zero of
// every fault is "none"; Heal takes all of them back.
type Memory struct {
	t       *Target
	regions []backdoor.Region

	mu       sync.Mutex
	faults   faults
	ops      int
	stuck    []func(error) // batches that were lost or wait for Thaw
	closed   bool
	readOnly bool
}

type faults struct {
	failAt  map[int]error
	latency time.Duration
	frozen  bool
	loss    float64
	rng     *rand.Rand
	before  func(i int, op *backdoor.Op) error
	during  func(i int, op *backdoor.Op)
}

// Caps implements backdoor.Memory.
func (m *Memory) Caps() backdoor.Caps {
	m.mu.Lock()
	defer m.mu.Unlock()
	return backdoor.Caps{Carrier: "bdtest", Atomics: true, Writable: !m.readOnly, Reset: true}
}

// Bind implements backdoor.Memory.
func (m *Memory) Bind(regions []backdoor.Region) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.regions = slices.Clone(regions)
	return nil
}

// Root implements backdoor.Memory.
func (m *Memory) Root(ctx context.Context) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	closed := m.closed
	m.mu.Unlock()
	m.t.mu.Lock()
	defer m.t.mu.Unlock()
	switch {
	case closed:
		return nil, backdoor.ErrClosed
	case m.t.gone:
		return nil, backdoor.ErrGone
	}
	return slices.Clone(m.t.cfg.bar[:uapi.RootSize]), nil
}

// Post implements backdoor.Memory.
func (m *Memory) Post(ctx context.Context, b *backdoor.Batch) {
	m.mu.Lock()
	f := m.faults
	lost := f.rng != nil && f.rng.Float64() < f.loss
	if m.closed || f.frozen || lost {
		closed := m.closed
		if !closed {
			m.stuck = append(m.stuck, m.later(ctx, b, lost))
		}
		m.mu.Unlock()
		if closed {
			fail(b, backdoor.ErrClosed)
		}
		return
	}
	m.mu.Unlock()
	if f.latency > 0 {
		go func() {
			time.Sleep(f.latency)
			m.run(b)
		}()
		return
	}
	m.run(b)
}

// later is what becomes of a batch that waits: it runs at Thaw unless it was
// lost, and ends with ErrClosed at Close.
func (m *Memory) later(ctx context.Context, b *backdoor.Batch, lost bool) func(error) {
	return func(err error) {
		switch {
		case err != nil:
			fail(b, err)
		case lost:
			fail(b, context.DeadlineExceeded)
		default:
			m.Post(ctx, b)
		}
	}
}

func fail(b *backdoor.Batch, err error) {
	backdoor.RunBatch(b, func(*backdoor.Op) error { return err })
}

func (m *Memory) run(b *backdoor.Batch) {
	backdoor.RunBatch(b, m.one)
	if m.t.cfg.reactions {
		m.t.Step()
	}
}

// one runs an operation. It holds no lock while it calls the test's functions.
func (m *Memory) one(op *backdoor.Op) error {
	m.mu.Lock()
	i, f, regions, readOnly := m.ops, m.faults, m.regions, m.readOnly
	m.ops++
	injected := f.failAt[i]
	m.mu.Unlock()
	if injected != nil {
		return injected
	}
	if f.before != nil {
		if err := f.before(i, op); err != nil {
			return err
		}
	}
	r, err := backdoor.CheckOp(regions, op)
	if err != nil {
		return err
	}
	if op.Kind != backdoor.OpRead {
		if err := m.mayWrite(r, readOnly); err != nil {
			return err
		}
	}
	off := r.GPA + (op.Addr - r.Addr)
	if f.during != nil && op.Kind == backdoor.OpRead {
		half := len(op.Buf) / 2 &^ 7
		if err := m.t.access(op, off, 0, half); err != nil {
			return err
		}
		f.during(i, op)
		return m.t.access(op, off, half, len(op.Buf))
	}
	return m.t.access(op, off, 0, len(op.Buf))
}

// mayWrite refuses, as every carrier does, what was meant for another kernel's
// memory: that of before a boot, or of a module that has been unloaded.
func (m *Memory) mayWrite(r *backdoor.Region, readOnly bool) error {
	m.t.mu.Lock()
	defer m.t.mu.Unlock()
	switch {
	case readOnly:
		return backdoor.ErrReadOnly
	case m.t.gone: // access says so
		return nil
	case r.BootID != m.t.boot:
		return backdoor.ErrReplaced
	case m.t.generation == 0:
		return backdoor.ErrWithdrawn
	}
	return nil
}

// access moves op.Buf[from:to] and runs the atomics.
func (t *Target) access(op *backdoor.Op, off uint64, from, to int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := uint64(len(op.Buf))
	if op.Kind == backdoor.OpCmpSwap || op.Kind == backdoor.OpFetchAdd {
		n = 8
	}
	switch {
	case t.gone:
		return backdoor.ErrGone
	case off > uint64(len(t.ram)) || n > uint64(len(t.ram))-off:
		return &backdoor.AccessError{Op: op.Kind, Addr: op.Addr, Len: int(n), Why: "not in RAM"}
	}
	ram := t.ram[off:]
	switch op.Kind {
	case backdoor.OpRead:
		copy(op.Buf[from:to], ram[from:])
	case backdoor.OpWrite:
		copy(ram, op.Buf)
	default:
		op.Old = binary.LittleEndian.Uint64(ram)
		if op.Kind == backdoor.OpFetchAdd {
			binary.LittleEndian.PutUint64(ram, op.Old+op.Swap)
		} else if op.Old == op.Compare {
			binary.LittleEndian.PutUint64(ram, op.Swap)
		}
	}
	return nil
}

// Reset implements backdoor.Resetter: the machine boots again.
func (m *Memory) Reset(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.t.Reboot()
	return nil
}

// Close implements backdoor.Memory; waiting batches end with ErrClosed.
func (m *Memory) Close() error {
	m.mu.Lock()
	m.closed = true
	stuck := m.stuck
	m.stuck = nil
	m.mu.Unlock()
	for _, end := range stuck {
		end(backdoor.ErrClosed)
	}
	return nil
}
