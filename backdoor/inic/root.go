// SPDX-License-Identifier: Apache-2.0

package inic

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
)

// rootTries bounds the reads of a root that is being written.
const rootTries = 8

// Root copies the root record. Magic is written last by the target, so the
// copy is good if the magic is there before and after it.
func (m *Memory) Root(ctx context.Context) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return nil, backdoor.ErrClosed
	}
	if err := m.alive(); err != nil {
		return nil, err
	}
	resets := uint64(0)
	if m.opts.Resets != nil {
		resets = m.opts.Resets()
	}
	root := make([]byte, uapi.RootSize)
	for range rootTries {
		var before, after [8]byte
		if err := errors.Join(m.bar.load(0, before[:]), m.bar.load(0, root), m.bar.load(0, after[:])); err != nil {
			return nil, err
		}
		if before == after && before == [8]byte(root[:8]) {
			break
		}
	}
	if m.boots.stale(backdoor.BootID(root[uapi.RootBootIDOff:]), resets) {
		return nil, fmt.Errorf("the machine was reset since: %w", backdoor.ErrReplaced)
	}
	return root, nil
}

// boots remembers which boot's root must not be believed any more.
type boots struct {
	mu     sync.Mutex
	known  bool
	resets uint64
	seen   backdoor.BootID // in the root at the last look
	dead   backdoor.BootID // in the root before the last reset
}

// stale takes note of a look at the root and reports whether the boot it names
// ended with a reset.
func (b *boots) stale(id backdoor.BootID, resets uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known && resets != b.resets {
		b.dead = b.seen
	}
	b.known, b.resets, b.seen = true, resets, id
	return id == b.dead && id != backdoor.BootID{}
}

// end takes note that the boot which was seen last is over.
func (b *boots) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dead = b.seen
}

// Reset implements backdoor.Resetter. The root goes first: the BAR keeps its
// bytes over a reset, and other readers would believe them.
func (m *Memory) Reset(ctx context.Context) error {
	if m.opts.Reset == nil {
		return fmt.Errorf("reset target %s: no way to reset it is configured", m.opts.RAMPath)
	}
	if err := m.clearRoot(); err != nil {
		return err
	}
	return m.opts.Reset(ctx)
}

func (m *Memory) clearRoot() error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	switch {
	case m.closed:
		return backdoor.ErrClosed
	case !m.writable:
		return fmt.Errorf("reset target %s: %w", m.opts.RAMPath, backdoor.ErrReadOnly)
	}
	m.boots.end()
	return m.bar.store(0, make([]byte, 8))
}
