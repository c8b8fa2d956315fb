// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"math"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/dsm"
	"lazystate/dsm/call"
)

// begun takes a call of the program. What makes no sense is answered so, and
// nothing is done.
func (d *Daemon) begun(c call.Call) {
	p := d.prog
	if p.call != nil {
		return
	}
	p.call, p.since = &c, time.Now()
	p.calls++
	if d.err != nil {
		p.ended = &ending{cause: uapi.DsmRefused, why: d.err.Error()}
		return
	}
	todo, err := d.inputs(c)
	if err != nil {
		p.ended = &ending{cause: uapi.DsmInvalid, why: err.Error()}
		return
	}
	p.todo = todo
}

// inputs are what a call is to the node, one after the other.
func (d *Daemon) inputs(c call.Call) ([]dsm.Input, error) {
	k := d.cfg.Core
	op := func(kind dsm.OpKind, id uint64) dsm.Input { return dsm.Begin{Op: dsm.Op{Kind: kind, ID: uint32(id)}} }
	below := func(what string, v uint64, bound int) error {
		if v >= uint64(bound) {
			return fmt.Errorf("%s %d of %d", what, v, bound)
		}
		return nil
	}
	lock := func(kind dsm.OpKind) ([]dsm.Input, error) {
		return []dsm.Input{op(kind, c.Args[0])}, below("lock", c.Args[0], k.Locks)
	}
	cond := func(kind dsm.OpKind) ([]dsm.Input, error) {
		return []dsm.Input{op(kind, c.Args[0])}, below("condition", c.Args[0], k.Conds)
	}
	switch c.Kind {
	case uapi.DsmAcquire:
		return lock(dsm.Acquire)
	case uapi.DsmRelease:
		return lock(dsm.Release)
	case uapi.DsmBarrier:
		return []dsm.Input{op(dsm.Barrier, c.Args[0])}, below("barrier", c.Args[0], uapi.DsmLast)
	case uapi.DsmEnd:
		return []dsm.Input{op(dsm.Barrier, uapi.DsmLast)}, nil
	case uapi.DsmSignal:
		return cond(dsm.Signal)
	case uapi.DsmBroadcast:
		return cond(dsm.Broadcast)
	case uapi.DsmWait:
		if err := below("condition", c.Args[0], k.Conds); err != nil {
			return nil, err
		}
		return []dsm.Input{op(dsm.CondEnter, c.Args[0]), op(dsm.Release, c.Args[1]), op(dsm.CondSleep, c.Args[0]), op(dsm.Acquire, c.Args[1])},
			below("lock", c.Args[1], k.Locks)
	case uapi.DsmPlace:
		return d.placings(c)
	case uapi.DsmPrefetch:
		return d.prefetches(c)
	case uapi.DsmCheckpoint:
		return []dsm.Input{dsm.Checkpoint{}}, nil
	}
	return nil, fmt.Errorf("there is no such call: %v", c)
}

// range checks first page and number of a call.
func (d *Daemon) pages(c call.Call) error {
	n := uint64(d.cfg.Core.Pages)
	if c.Args[0] > n || c.Args[1] > n-c.Args[0] {
		return fmt.Errorf("%d pages from %d on, of %d", c.Args[1], c.Args[0], n)
	}
	return nil
}

func (d *Daemon) placings(c call.Call) (todo []dsm.Input, err error) {
	if err := d.pages(c); err != nil {
		return nil, err
	}
	if c.Args[2] >= uint64(d.cfg.Core.Nodes) {
		return nil, fmt.Errorf("node %d of %d", c.Args[2], d.cfg.Core.Nodes)
	}
	for i := range c.Args[1] {
		todo = append(todo, dsm.Begin{Op: dsm.Op{Kind: dsm.Place, ID: uint32(c.Args[0] + i), Node: dsm.NodeID(c.Args[2])}})
	}
	return todo, nil
}

func (d *Daemon) prefetches(c call.Call) (todo []dsm.Input, err error) {
	if err := d.pages(c); err != nil {
		return nil, err
	}
	in := dsm.Prefetch{For: dsm.Read}
	if c.Args[2] == 1 {
		in.For = dsm.Write
	}
	for i := range c.Args[1] {
		in.Pages = append(in.Pages, dsm.Page(c.Args[0]+i))
	}
	return []dsm.Input{in}, nil
}

// advance does what is to be done of the call, until the program waits for
// somebody.
func (d *Daemon) advance() {
	p := d.prog
	for p.call != nil && p.ended == nil && !p.busy && !p.faults && d.err == nil {
		if len(p.todo) == 0 {
			d.complete()
			return
		}
		in := p.todo[0]
		p.todo = p.todo[1:]
		switch in := in.(type) {
		case dsm.Begin:
			if d.cfg.KillAt > 0 && d.node.Ordinal()+1 == d.cfg.KillAt {
				if d.kill(); d.err != nil {
					return
				}
			}
			if p.call.Kind == uapi.DsmBarrier && d.cfg.Policy.Aligned && d.due.wants(d.share()) {
				d.step(dsm.Want{})
			}
			p.busy = true
			d.step(in)
		case dsm.Prefetch:
			d.step(in)
		case dsm.Checkpoint:
			d.checkpoint()
		}
	}
}

// complete ends the call well.
func (d *Daemon) complete() {
	p := d.prog
	if p.call.Kind == uapi.DsmEnd {
		d.over = true
	}
	p.ended = &ending{flags: d.flags(p.call.Kind)}
}

func (d *Daemon) flags(kind uint32) (f call.Flags) {
	if !d.node.Live() {
		return uapi.DsmReplayed
	}
	if d.due.wanted(kind == uapi.DsmBarrier, d.share()) {
		f |= uapi.DsmDue
	}
	return f
}

// share is how much of the region's size the logs have that are in no checkpoint.
func (d *Daemon) share() float64 {
	size := float64(d.cfg.Core.Pages) * float64(d.cfg.Core.PageSize)
	return float64(d.node.UnsavedBytes()) / max(size, math.SmallestNonzeroFloat64)
}
