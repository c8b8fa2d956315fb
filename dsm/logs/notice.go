// SPDX-License-Identifier: Apache-2.0

package logs

import (
	"slices"

	"lazystate/dsm/vtime"
)

// Page is the number of a page of the shared region.
type Page uint32

// Cut is where in its writer's program an interval ended. Intervals end lazily,
// when the token of a lock leaves, so the place is not to be had from the
// program; who replays it is told.
type Cut struct {
	Interval vtime.Interval
	Ordinal  uint64 // synchronisation operations that had begun
	After    bool   // that operation was over; else it had not taken effect
	Ragged   bool   // the program was running: the interval has writes after the operation too
	Bound    bool   // it ended there or before
}

// Notice is a write notice: the pages that were written in an interval.
type Notice struct {
	Cut
	Pages []Page
}

// Notices is the wn_log of one writer as one process knows it, by interval.
type Notices struct{ list []Notice }

// Add records a notice. Of an interval that is known the pages are joined: a
// writer that was recovered may have its writes in other intervals than before.
func (w *Notices) Add(n Notice) {
	i, known := find(w.list, n.Interval)
	if !known {
		w.list = slices.Insert(w.list, i, n)
		return
	}
	old := &w.list[i]
	pages := append(slices.Clone(old.Pages), n.Pages...)
	slices.Sort(pages)
	old.Pages = slices.Compact(pages)
}

// Range returns the notices of (after, upto], and whether all are there.
func (w *Notices) Range(after, upto vtime.Interval) ([]Notice, bool) {
	if after >= upto {
		return nil, true
	}
	r := beyond(w.list, after)
	r = r[:len(r)-len(beyond(r, upto))]
	return r, vtime.Interval(len(r)) == upto-after
}

// All returns what is kept.
func (w *Notices) All() []Notice { return w.list }

// Trim discards the intervals up to bound: those that every process that could
// ask has in its checkpoint (Lemma 2).
func (w *Notices) Trim(bound vtime.Interval) { w.list = trim(w.list, bound) }

// Cuts are one writer's, by interval.
type Cuts []Cut

// Add records a cut. What is known stays, unless it was only a bound, and a
// worse one.
func (c *Cuts) Add(cut Cut) {
	switch i, known := find(*c, cut.Interval); {
	case !known:
		*c = slices.Insert(*c, i, cut)
	case (*c)[i].Bound && (!cut.Bound || cut.Ordinal < (*c)[i].Ordinal):
		(*c)[i] = cut
	}
}

// Trim discards the cuts that the writer's checkpoint is behind.
func (c *Cuts) Trim(bound vtime.Interval) { *c = trim(*c, bound) }
