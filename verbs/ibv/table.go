// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv

import (
	"sync"
	"syscall"
)

// table gives out handles for objects. A handle has a generation in its upper
// bits, so that a stale one is an error and not somebody else's object.
type table[T any] struct {
	mu   sync.RWMutex
	slot []slot[T]
	free []uint32
}

type slot[T any] struct {
	gen  uint32
	used bool
	v    T
}

const (
	indexBits = 20
	indexMask = 1<<indexBits - 1
)

// reserve returns a handle for an object that is yet to be made.
func (t *table[T]) reserve(fn string) (uint32, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.free); n > 0 {
		i := t.free[n-1]
		t.free = t.free[:n-1]
		return t.slot[i].gen<<indexBits | i, nil
	}
	if len(t.slot) > indexMask {
		return 0, &Error{fn, syscall.ENOMEM}
	}
	t.slot = append(t.slot, slot[T]{gen: 1})
	return 1<<indexBits | uint32(len(t.slot)-1), nil
}

// set puts the object behind a reserved handle.
func (t *table[T]) set(h uint32, v T) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.slot[h&indexMask]
	s.used, s.v = true, v
}

// add is reserve and set; it gives nothing back when the table is full, which
// takes a million objects.
func (t *table[T]) add(fn string, v T) (uint32, error) {
	h, err := t.reserve(fn)
	if err == nil {
		t.set(h, v)
	}
	return h, err
}

// get returns the object of a handle; fn is who asks.
func (t *table[T]) get(fn string, h uint32) (T, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if i := h & indexMask; int(i) < len(t.slot) {
		if s := &t.slot[i]; s.used && s.gen == h>>indexBits {
			return s.v, nil
		}
	}
	var none T
	return none, invalid(fn)
}

// drop forgets a handle, reserved or set.
func (t *table[T]) drop(h uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := h & indexMask
	s := &t.slot[i]
	var none T
	s.used, s.v = false, none
	s.gen = max(1, (s.gen+1)&(1<<(32-indexBits)-1))
	t.free = append(t.free, i)
}
