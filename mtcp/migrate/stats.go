// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"sync/atomic"
	"time"
)

// Stats counts since the beginning.
type Stats struct{ left, came, undone atomic.Uint64 }

// Left is how many sessions went elsewhere, Came how many came, Undone how many
// moves were taken back.
func (s *Stats) Left() uint64   { return s.left.Load() }
func (s *Stats) Came() uint64   { return s.came.Load() }
func (s *Stats) Undone() uint64 { return s.undone.Load() }

// rate is a bucket of what a peer may ask for.
type rate struct {
	left float64
	at   time.Time
}

// A peer may ask so often at once, and so often a second after that.
const (
	askBurst  = 64
	askSecond = 16
)

// allow takes a drop out of a peer's bucket.
func (m *Mover) allow(peer string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, now := m.rates[peer], time.Now()
	if r == nil {
		r = &rate{askBurst, now}
		m.rates[peer] = r
	}
	r.left = min(askBurst, r.left+now.Sub(r.at).Seconds()*askSecond)
	r.at = now
	if r.left < 1 {
		return false
	}
	r.left--
	return true
}
