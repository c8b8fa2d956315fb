// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"lazystate/dsm"
	"lazystate/dsm/vtime"
)

// Status is how the node is, for whoever looks on.
type Status struct {
	Incarnation uint32
	Live        bool // false: it recovers, or has failed
	Failed      string
	Ordinal     uint64
	Time        vtime.Time
	Waiting     string // what the program waits for, and of whom
	LogBytes    int
	Region      int64 // bytes
	Counters    dsm.Counters
	Times       Times
}

// Status returns it. Before Start there is nothing but the incarnation.
func (d *Daemon) Status() Status {
	d.enter()
	defer d.leave()
	s := Status{Incarnation: d.inc, Times: d.times, Region: int64(d.cfg.Core.Pages) * int64(d.cfg.Core.PageSize)}
	if d.err != nil {
		s.Failed = d.err.Error()
	}
	if n := d.node; n != nil {
		s.Live, s.Ordinal, s.Time, s.Waiting, s.LogBytes, s.Counters = n.Live(), n.Ordinal(), n.Time(), d.waiting(), n.LogBytes(), n.Counters()
	}
	return s
}
