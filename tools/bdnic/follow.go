// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"lazystate/backdoor"
)

// follower is a machine through its deaths: when its files are gone, those of the
// machine that comes in its place are opened.
type follower struct {
	open func(context.Context) (backdoor.Memory, error)
	log  *slog.Logger

	mu    sync.RWMutex
	mem   backdoor.Memory // nil: gone
	tried time.Time
	told  string
}

// reopenEvery bounds how often a machine that is gone is looked for.
const reopenEvery = 200 * time.Millisecond

// current returns the machine that there is, or looks for one.
func (f *follower) current(ctx context.Context) backdoor.Memory {
	f.mu.RLock()
	mem := f.mem
	f.mu.RUnlock()
	if mem != nil {
		return mem
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mem != nil || time.Since(f.tried) < reopenEvery {
		return f.mem
	}
	f.tried = time.Now()
	mem, err := f.open(ctx)
	if err != nil {
		if f.told != err.Error() {
			f.told = err.Error()
			f.log.Warn("machine is not there", "err", err)
		}
		return nil
	}
	f.told = ""
	f.mem = mem
	return mem
}

// Root implements backdoor.Memory.
func (f *follower) Root(ctx context.Context) ([]byte, error) {
	mem := f.current(ctx)
	if mem == nil {
		return nil, backdoor.ErrGone
	}
	root, err := mem.Root(ctx)
	if errors.Is(err, backdoor.ErrGone) {
		f.drop(mem)
	}
	return root, err
}

func (f *follower) drop(mem backdoor.Memory) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mem != mem {
		return
	}
	f.mem = nil
	if err := mem.Close(); err != nil {
		f.log.Warn("close the machine's files", "err", err)
	}
}

// Post implements backdoor.Memory.
func (f *follower) Post(ctx context.Context, b *backdoor.Batch) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.mem == nil {
		backdoor.RunBatch(b, func(*backdoor.Op) error { return backdoor.ErrGone })
		return
	}
	f.mem.Post(ctx, b)
}

// Bind implements backdoor.Memory.
func (f *follower) Bind(regions []backdoor.Region) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.mem == nil {
		return backdoor.ErrGone
	}
	return f.mem.Bind(regions)
}

// Caps implements backdoor.Memory.
func (f *follower) Caps() backdoor.Caps {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.mem == nil {
		return backdoor.Caps{}
	}
	return f.mem.Caps()
}

// Close implements backdoor.Memory.
func (f *follower) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mem == nil {
		return nil
	}
	mem := f.mem
	f.mem = nil
	return mem.Close()
}
