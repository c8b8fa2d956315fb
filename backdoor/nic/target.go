// SPDX-License-Identifier: Apache-2.0

package nic

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
)

// view is one state of the target's regions.
type view struct {
	root    uapi.Root
	regions []backdoor.Region
}

// region returns the target's region of a kind that holds n bytes at off.
func (v *view) region(kind uint32, off, n uint64) (*backdoor.Region, error) {
	for i := range v.regions {
		if r := &v.regions[i]; r.Kind == kind && n <= r.Len && off <= r.Len-n {
			return r, nil
		}
	}
	return nil, fmt.Errorf("%d bytes at %#x of %s: %w", n, off, uapi.RegionKindName(kind), backdoor.ErrNoRegion)
}

// target follows one machine through reboots and reloads of its module.
type target struct {
	mem     backdoor.Memory
	changed func(*view) // nil: its module is not there

	mu   sync.Mutex
	last *view
	err  error // why there is none
}

// look reads the root and returns the regions as they are now. It is called at
// every remote read of a root, so nobody is told of a machine that was.
func (t *target) look(ctx context.Context) (*view, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	raw, err := t.mem.Root(ctx)
	if err != nil {
		return t.now(nil, err)
	}
	root, err := backdoor.DecodeRoot(raw)
	if err != nil {
		return t.now(nil, err)
	}
	if t.last != nil && t.last.root == root {
		return t.last, nil
	}
	opened, err := backdoor.Open(ctx, t.mem)
	if err != nil {
		return t.now(nil, err)
	}
	if opened.BootID() != root.BootID || opened.Generation() != root.Generation {
		return t.now(nil, fmt.Errorf("its regions change: %w", backdoor.ErrWithdrawn))
	}
	return t.now(&view{root: root, regions: opened.Regions()}, nil)
}

// now takes note of what was seen. An ended context says nothing of the target.
func (t *target) now(v *view, err error) (*view, error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	if v != nil || t.last != nil || t.err == nil {
		t.last = v
		t.changed(v)
	}
	t.err = err
	return v, err
}

// ops are batches that are used again and again.
type ops struct{ pool sync.Pool }

// one runs a single operation on the target.
func (o *ops) one(ctx context.Context, m backdoor.Memory, op backdoor.Op) (old uint64, err error) {
	b, _ := o.pool.Get().(*backdoor.Batch)
	if b == nil {
		b = backdoor.NewRepeatBatch(backdoor.Op{})
	}
	b.Ops[0] = op
	m.Post(ctx, b)
	if err := b.Wait(ctx); err != nil {
		return 0, err // the batch may still run: it is not used again
	}
	old = b.Ops[0].Old
	b.Ops[0].Buf = nil
	o.pool.Put(b)
	return old, nil
}
