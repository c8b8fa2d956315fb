// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"fmt"
	"maps"
	"math/bits"
	"time"
)

// reading is what must match for reads to agree (§3.8): address and length.
type reading struct {
	kind      uint32
	addr, len uint64
}

// asked is when a monitor asked for it last, and whether it was answered.
type asked struct {
	at  time.Duration
	met bool
}

// mostReads bounds the reads that one monitor may have waiting.
const mostReads = 4096

// read passes, or is all-or-none: answered when K voters have asked for the same
// bytes within the window. Until then there is no answer, and the asker's own
// queue pair asks again.
func (g *Guard) read(now time.Duration, m *monitor, r *Request) Verdict {
	a, agree := g.policy.Reads[r.Kind]
	if !agree {
		return pass
	}
	if a.Voters>>m.slot&1 == 0 {
		return g.refuse(now, r, "it has no vote on these reads")
	}
	what := reading{r.Kind, r.Addr, r.Len}
	before, again := m.reads[what]
	if !again && len(m.reads) >= mostReads {
		g.expireReads(now, m)
		if len(m.reads) >= mostReads {
			return g.refuse(now, r, "it has too many reads waiting")
		}
	}
	m.reads[what] = asked{now, before.met}
	askers := uint32(0)
	for _, o := range g.monitors {
		if o == nil || a.Voters>>o.slot&1 == 0 {
			continue
		}
		if q, ok := o.reads[what]; ok && now <= q.at+a.Window {
			askers |= 1 << o.slot
		}
	}
	if bits.OnesCount32(askers) < a.K {
		return Verdict{Act: Withhold, Why: "until others ask for the same bytes"}
	}
	for _, o := range g.monitors {
		if o != nil && askers>>o.slot&1 == 1 {
			o.reads[what] = asked{o.reads[what].at, true}
		}
	}
	return pass
}

// expireReads forgets the reads whose window has closed, and tells how many of
// them nobody else had asked for.
func (g *Guard) expireReads(now time.Duration, m *monitor) {
	lone := 0
	maps.DeleteFunc(m.reads, func(what reading, q asked) bool {
		late := now > q.at+g.policy.Reads[what.kind].Window
		if late && !q.met {
			lone++
		}
		return late
	})
	if lone > 0 {
		g.event(Event{Time: now, Kind: Expired, Monitor: m.slot, Op: Read, Why: fmt.Sprintf("too few asked for the same; %d reads", lone)})
	}
}
