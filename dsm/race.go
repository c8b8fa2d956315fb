// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"lazystate/dsm/logs"
	"lazystate/dsm/vtime"
)

// wrote is who wrote a byte last, and in which interval.
type wrote struct {
	node     NodeID
	interval vtime.Interval
}

// marks are a homed page's, by byte.
type marks struct {
	last []*wrote
	told bool
}

// lookForRace compares a diff that a home takes with those before it: a byte that two
// nodes have written must have been written by the one knowing of the other. What comes
// later was written later, or at the same time: who would write behind another's interval
// has fetched the page, with the diffs of that. A diff's time is that of its interval's
// end, so some races are not seen; none is seen where there is none.
func (n *Node) lookForRace(d logs.Diff) {
	if !n.cfg.Races {
		return
	}
	m := n.races[d.Page]
	if m == nil {
		m = &marks{last: make([]*wrote, n.cfg.PageSize)}
		n.races[d.Page] = m
	}
	now := &wrote{d.Writer, d.Interval}
	for _, r := range d.Diff {
		for i := range r.Data {
			at := int(r.Off) + i
			before := m.last[at]
			m.last[at] = now
			if before != nil && before.node != now.node && before.interval > d.T[before.node] && !m.told {
				m.told = true
				n.do(Race{d.Page, at, before.node, now.node})
			}
		}
	}
}
