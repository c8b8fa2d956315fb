// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"sync"
	"time"
)

// sequencer gives the numbers of the records that this process writes. They
// must rise across restarts of a monitor, so each is above what the target
// shows, above the last one, and at least the wall clock in nanoseconds.
type sequencer struct {
	mu   sync.Mutex
	last map[seqArea]uint64
}

type seqArea struct{ kind, slot uint32 }

func (s *sequencer) next(kind, slot uint32, shown uint64) uint64 {
	return s.after(kind, slot, shown, uint64(time.Now().UnixNano()))
}

func (s *sequencer) after(kind, slot uint32, shown, clock uint64) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = map[seqArea]uint64{}
	}
	old := max(s.last[seqArea{kind, slot}], shown)
	seq := max(old+1, clock)
	// The low half is the commit word: it must differ from the one before,
	// or the target sees nothing new, and from 0, the word of a fresh slot.
	for uint32(seq) == 0 || uint32(seq) == uint32(old) {
		seq++
	}
	s.last[seqArea{kind, slot}] = seq
	return seq
}
