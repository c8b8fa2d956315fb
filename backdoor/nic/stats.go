// SPDX-License-Identifier: Apache-2.0

package nic

import (
	"sync/atomic"

	"lazystate/backdoor/guard"
)

// Stats counts what a server has done since New.
type Stats struct {
	Reads, Writes, Bytes uint64 // remote operations that were let through or kept, and their bytes
	Refused              uint64 // operations: by key, range, permission, policy
	Withheld             uint64 // reads that wait for other monitors
	Failed               uint64 // by the target's memory: a page that is not there
	Denied               uint64 // connections
	Agreed, Disagreed    uint64
	Expired              uint64
	Owners               uint64 // changes of owner
	Grants, QPs          int    // now
	Up                   bool   // the target offers regions
}

type counters struct {
	reads, writes, bytes, refused, withheld, failed, denied atomic.Uint64

	events [guard.Lapsed + 1]atomic.Uint64
}

func (c *counters) event(k guard.EventKind) { c.events[min(k, guard.Lapsed)].Add(1) }

// Stats returns the counts, and what there is now.
func (s *Server) Stats() Stats {
	c := &s.stats
	st := Stats{
		Reads: c.reads.Load(), Writes: c.writes.Load(), Bytes: c.bytes.Load(), Refused: c.refused.Load(),
		Withheld: c.withheld.Load(), Failed: c.failed.Load(), Denied: c.denied.Load(),
		Agreed: c.events[guard.Agreed].Load(), Disagreed: c.events[guard.Disagreed].Load(), Expired: c.events[guard.Expired].Load(),
		Owners: c.events[guard.Owned].Load(),
	}
	for _, g := range s.all() {
		g.mu.Lock()
		st.Grants++
		st.QPs += g.qps
		g.mu.Unlock()
	}
	s.target.mu.Lock()
	st.Up = s.target.last != nil
	s.target.mu.Unlock()
	return st
}
