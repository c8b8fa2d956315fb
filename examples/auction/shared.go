// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync"
)

// shared has one do what others, who come while it does, want done as well. A monitor
// sends a dead middle tier's records over many connections at once, and each of them wants
// its transactions ended first: all were sent when it could begin none any more, so an end
// that has begun since the first of them counts for all.
type shared struct {
	mu    sync.Mutex
	under map[string]*turn
}

type turn struct {
	over chan struct{}
	err  error // once it is over
}

func (s *shared) do(ctx context.Context, what string, f func() error) error {
	s.mu.Lock()
	t := s.under[what]
	if t != nil {
		s.mu.Unlock()
		select {
		case <-t.over:
			return t.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if s.under == nil {
		s.under = map[string]*turn{}
	}
	t = &turn{over: make(chan struct{})}
	s.under[what] = t
	s.mu.Unlock()
	t.err = f()
	s.mu.Lock()
	delete(s.under, what)
	s.mu.Unlock()
	close(t.over)
	return t.err
}
