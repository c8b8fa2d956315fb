// SPDX-License-Identifier: Apache-2.0

package migrate

import "sync/atomic"

// Stats counts since the beginning.
type Stats struct{ left, came, undone, sought atomic.Uint64 }

// Left is how many sessions went elsewhere, Came how many came, Undone how many
// moves were taken back.
func (s *Stats) Left() uint64   { return s.left.Load() }
func (s *Stats) Came() uint64   { return s.came.Load() }
func (s *Stats) Undone() uint64 { return s.undone.Load() }

// Sought is how often clients that had left came back, and were told where their sessions are.
func (s *Stats) Sought() uint64 { return s.sought.Load() }

// tooOften logs who asks beyond a rate, which is bounded itself.
func (m *Mover) tooOften(who string) {
	m.mesh.log.With("from", who).Warn("it asks for moves too often")
}

// TooOften is how often servers and clients asked for more moves than they may.
func (m *Mover) TooOften() uint64 {
	return m.addresses.count() + m.sessions.count() + m.clients.count()
}
