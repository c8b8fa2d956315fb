// SPDX-License-Identifier: Apache-2.0

package inic

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"lazystate/backdoor"
)

// Options says where a guest's memory is.
type Options struct {
	RAMPath string // the guest's RAM: QEMU's memory-backend-file, share=on
	BARPath string // the ivshmem register BAR, share=on
	Machine Machine

	// Writable takes the one writer's place without an epoch, as drills and
	// tools do; Open fails with ErrReadOnly while another holds it. Monitors
	// that replace one another take it by Own.
	Writable bool

	// PID is QEMU's process, watched by pidfd; 0: not watched.
	PID int
	// Alive is any other sign of life, for example that QMP answers. It is
	// asked at each Root, so by every check of a Target.
	Alive func() error
	// Resets counts the machine's resets, for example by QMP's RESET events;
	// nil: not known. The BAR keeps its bytes over a reset, so that without
	// it a root is believed until the next load of the module, for
	// reading; what is written is bounded by a witness.
	Resets func() uint64
	// Reset resets the machine where no CPU takes interrupts; nil: cannot.
	Reset func(context.Context) error
	// CutPort takes the machine off its network until it is reset, whether its
	// CPUs run or stand; nil: cannot. It is called when a fence is asked for.
	CutPort func(context.Context) error
}

// Memory is a guest's memory. It implements backdoor.Memory, backdoor.Resetter
// and backdoor.WritersPlace.
type Memory struct {
	opts    Options
	proc    *process
	regions atomic.Pointer[[]backdoor.Region]

	boots   boots
	witness witness // against writes into the next kernel's memory

	mu       sync.RWMutex // held for writing where mappings change: no access after the unmap
	ram, bar *mapping
	writable bool
	owner    backdoor.Owner
	closed   bool
}

// Open maps the files.
func Open(o Options) (*Memory, error) {
	m := &Memory{opts: o}
	if err := m.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open target %s: %w", o.RAMPath, err), m.Close())
	}
	return m, nil
}

func (m *Memory) open() (err error) {
	if m.opts.Writable {
		m.bar, m.ram, err = m.mapWritable(backdoor.Owner{})
		m.writable = err == nil
	} else if m.bar, err = mapFile(m.opts.BARPath, false); err == nil {
		m.ram, err = mapFile(m.opts.RAMPath, false)
	}
	if err == nil && m.opts.PID != 0 {
		m.proc, err = watchProcess(m.opts.PID)
	}
	return err
}

// Close unmaps the files and gives up the writer's place.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	m.closed, m.writable = true, false
	var errs []error
	for _, f := range []*mapping{m.ram, m.bar} {
		if f != nil {
			errs = append(errs, f.close())
		}
	}
	if m.proc != nil {
		errs = append(errs, unix.Close(m.proc.fd))
	}
	return errors.Join(errs...)
}

// Caps implements backdoor.Memory.
func (m *Memory) Caps() backdoor.Caps {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return backdoor.Caps{Carrier: "inic", Atomics: true, Writable: m.writable, Reset: m.opts.Reset != nil, CutsPort: m.opts.CutPort != nil}
}

// Bind implements backdoor.Memory.
func (m *Memory) Bind(regions []backdoor.Region) error {
	own := slices.Clone(regions)
	m.mu.RLock()
	defer m.mu.RUnlock()
	m.regions.Store(&own)
	if !m.closed {
		m.remember()
	}
	return nil
}

// Post runs the batch before it returns.
func (m *Memory) Post(ctx context.Context, b *backdoor.Batch) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	backdoor.RunBatch(b, func(op *backdoor.Op) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return m.run(ctx, op)
	})
}

func (m *Memory) run(ctx context.Context, op *backdoor.Op) error {
	if m.closed {
		return backdoor.ErrClosed
	}
	var regions []backdoor.Region
	if p := m.regions.Load(); p != nil {
		regions = *p
	}
	r, err := backdoor.CheckOp(regions, op)
	if err != nil {
		return err
	}
	if err := m.access(r, op); err != nil || !m.fences(r, op) {
		return err
	}
	return m.cutPort(ctx)
}

func (m *Memory) access(r *backdoor.Region, op *backdoor.Op) (err error) {
	n := uint64(len(op.Buf))
	if op.Kind != backdoor.OpRead {
		if !m.writable {
			return backdoor.ErrReadOnly
		}
		if op.Kind != backdoor.OpWrite {
			n = 8
		}
	}
	refuse := func(why string) error {
		return &backdoor.AccessError{Op: op.Kind, Addr: op.Addr, Len: int(n), Region: r.Name, Why: why}
	}
	file, off, why := m.place(r, op.Addr, n)
	switch {
	case why != "":
		return refuse(why)
	case op.Kind == backdoor.OpRead:
		return file.load(off, op.Buf)
	case op.Kind == backdoor.OpWrite:
		return m.write(r, file, off, n, func() error { return file.store(off, op.Buf) })
	case off%8 != 0:
		return refuse("atomic operation on an unaligned address")
	}
	return m.write(r, file, off, n, func() error {
		op.Old, err = file.update(off, atomicOn(op))
		return err
	})
}

// place finds n bytes of a region in one of the two files; why is the refusal.
// Of all device memory (§3.3) only the register BAR is within our reach.
func (m *Memory) place(r *backdoor.Region, addr, n uint64) (file *mapping, off uint64, why string) {
	switch {
	case r.BAR:
		if size := uint64(len(m.bar.data)); addr > size || n > size-addr {
			return nil, 0, "not in the register BAR"
		}
		return m.bar, addr, ""
	case r.MMIO:
		return nil, 0, "device memory is not in the RAM file"
	}
	off, ok := m.opts.Machine.offset(r.GPA+(addr-r.Addr), n, uint64(len(m.ram.data)))
	if !ok {
		return nil, 0, "not in the guest's RAM"
	}
	return m.ram, off, ""
}

// atomicOn returns the instruction an atomic operation asks for.
func atomicOn(op *backdoor.Op) func(*uint64) uint64 {
	if op.Kind == backdoor.OpFetchAdd {
		return func(p *uint64) uint64 { return atomic.AddUint64(p, op.Swap) - op.Swap }
	}
	return func(p *uint64) uint64 {
		for {
			old := atomic.LoadUint64(p)
			if old != op.Compare || atomic.CompareAndSwapUint64(p, old, op.Swap) {
				return old
			}
		}
	}
}
