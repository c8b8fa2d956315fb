// SPDX-License-Identifier: Apache-2.0

package rdma

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/verbs"
)

// Memory is a target's memory over RDMA. It implements backdoor.Memory,
// backdoor.Prober and backdoor.WritersPlace.
type Memory struct {
	o  Options
	pd *verbs.PD
	ch *verbs.CompChannel // nil: the device waits by itself
	cq *verbs.CQ
	mr *verbs.MR // staging, cut into the lanes' rings

	lanes   []*lane // 0: in order; the others: a sample each
	turn    atomic.Uint32
	session atomic.Pointer[session] // nil: none yet, or being replaced
	asked   atomic.Pointer[session] // that the last root was read in
	bound   atomic.Pointer[binding]
	owner   place

	// Of keep alone, and of Open before it.
	boot    [16]byte
	counter uint64
	told    string

	kick  chan struct{}
	oldMu sync.Mutex
	old   []*verbs.QP // failed, to be closed

	stop   context.CancelFunc
	kept   chan struct{} // keep has ended
	wg     sync.WaitGroup
	once   sync.Once
	closed error
}

const (
	bulkStage   = 4 << 20
	sampleStage = 256 << 10 // a Sensor Box, its user pages, and what is read beside them
)

// lives is for how many queue pairs of a lane the completion queue has room: the one
// in it, and the one before, whose flushed requests may not have been polled yet.
const lives = 2

// Open connects, within ctx.
func Open(ctx context.Context, o Options) (*Memory, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open target %s: %w", o.Remote, err), o.release())
	}
	m := &Memory{o: o, kick: make(chan struct{}, 1), kept: make(chan struct{})}
	m.owner.writable = o.Writable
	background, stop := context.WithCancel(context.Background())
	m.stop = stop
	err = m.allocate()
	if err == nil {
		m.wg.Go(func() { m.poll(background) })
		if err = m.establish(ctx); err == nil {
			go m.keep(background)
			return m, nil
		}
	}
	close(m.kept)
	return nil, errors.Join(fmt.Errorf("open target %s: %w", o.Remote, err), m.Close())
}

// allocate makes what outlives connections.
func (m *Memory) allocate() (err error) {
	dev, wrs := m.o.Device, lives*(1+m.o.Pool)*depth
	if m.pd, err = dev.AllocPD(); err != nil {
		return err
	}
	if m.cq, err = dev.CreateCQ(wrs, nil); err != nil {
		return err
	}
	if !m.cq.Waits() {
		if err = m.cq.Close(); err != nil {
			return err
		}
		if m.ch, err = dev.CreateCompChannel(); err != nil {
			return err
		}
		if m.cq, err = dev.CreateCQ(wrs, m.ch); err != nil {
			return err
		}
	}
	if m.mr, err = m.pd.AllocMR(bulkStage+m.o.Pool*sampleStage, verbs.AccessLocalWrite); err != nil {
		return err
	}
	for i := range 1 + m.o.Pool {
		r := ring{base: bulkStage + (i-1)*sampleStage, size: sampleStage}
		if i == 0 {
			r = ring{size: bulkStage}
		}
		wrs := make([]verbs.SendWR, depth)
		for j := range wrs {
			wrs[j].SG = make([]verbs.SGE, 0, 1)
		}
		m.lanes = append(m.lanes, &lane{m: m, index: i, ring: r, wrs: wrs})
	}
	return nil
}

// poll takes completions until Close.
func (m *Memory) poll(ctx context.Context) {
	var wcs [32]verbs.WC
	var ended []*job
	for {
		n, err := m.cq.Wait(ctx, wcs[:])
		if err != nil {
			if ctx.Err() == nil {
				m.o.Log.Error("completion queue", "err", err)
				for _, l := range m.lanes {
					l.abandon(err, err)
				}
			}
			return
		}
		for i := range wcs[:n] {
			l := m.lanes[int(wcs[i].ID>>56)%len(m.lanes)]
			l.mu.Lock()
			ended = l.completed(&wcs[i], ended[:0])
			l.mu.Unlock()
			complete(ended)
		}
	}
}

// Close disconnects; what is under way ends with ErrClosed.
func (m *Memory) Close() error {
	m.once.Do(func() { m.closed = m.close() })
	return m.closed
}

func (m *Memory) close() error {
	m.stop()
	<-m.kept // no lane is connected any more after this
	var wg sync.WaitGroup
	var errs errorList
	for _, l := range m.lanes {
		if qp := l.abandon(backdoor.ErrClosed, backdoor.ErrClosed); qp != nil {
			wg.Go(func() { errs.add(m.hangUp(qp)) })
		}
	}
	wg.Wait()
	m.sweep()
	m.wg.Wait()
	if m.cq != nil {
		errs.add(m.cq.Close())
	}
	if m.ch != nil {
		errs.add(m.ch.Close())
	}
	if m.mr != nil {
		errs.add(m.mr.Close())
	}
	if m.pd != nil {
		errs.add(m.pd.Close())
	}
	errs.add(m.o.release())
	return errs.join()
}

// errorList collects from several goroutines.
type errorList struct {
	mu   sync.Mutex
	errs []error
}

func (e *errorList) add(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.errs = append(e.errs, err)
}

func (e *errorList) join() error { return errors.Join(e.errs...) }

// Caps implements backdoor.Memory. What the target says of itself is known once
// it was connected.
func (m *Memory) Caps() backdoor.Caps {
	c := backdoor.Caps{Carrier: "rdma", NeedsCPU: true, Stall: m.o.stall(), Queues: m.o.Pool}
	if s := m.session.Load(); s != nil {
		c.NeedsCPU = s.grant.Flags&uapi.GrantSoftware != 0
		c.Atomics = s.grant.Flags&uapi.GrantAtomic != 0
		c.CutsPort = s.grant.Flags&uapi.GrantCutsPort != 0
		c.Writable = m.owner.mayWrite() && s.writes()
	}
	return c
}

// Bind implements backdoor.Memory.
func (m *Memory) Bind(regions []backdoor.Region) error {
	m.bound.Store(&binding{regions: slices.Clone(regions), session: m.asked.Load()})
	return nil
}
