// SPDX-License-Identifier: Apache-2.0

package logs

import (
	"maps"
	"slices"

	"lazystate/dsm/vtime"
)

// Kept is what a home remembers of one of its checkpoints.
type Kept struct {
	Number uint32
	V      vtime.Time          // V_H: no page has a diff beyond it, and none up to it is missing
	Pages  map[Page]vtime.Time // p.v of each copy that is still there
}

// Window is a home's checkpoints, oldest first (p_ckp of §4.4.3). The first of
// a new home is Beginning.
type Window []Kept

// Beginning is the checkpoint that every home begins with, number 0: all pages
// are zeros of version 0. A page that a checkpoint does not have is such a page
// too, for its home was not known then.
func Beginning(n int) Kept { return Kept{V: vtime.New(n)} }

// Saved is how many checkpoints are kept, Beginning not among them.
func (w Window) Saved() int {
	if w[0].Number == 0 {
		return len(w) - 1
	}
	return len(w)
}

// aggregate returns the last checkpoint with V_H <= t (Lemma 4), or -1.
func (w Window) aggregate(t vtime.Time) int {
	for i := len(w) - 1; i >= 0; i-- {
		if w[i].V.LessEq(t) {
			return i
		}
	}
	return -1
}

// Copy returns where the last safe copy of a page lies for a process whose
// checkpoint has the timestamp t (Lemma 1 if perPage, else Lemma 4), and its
// version. Number 0 is a page of zeros. It is not ok if what was needed has
// been discarded.
func (w Window) Copy(p Page, t vtime.Time, perPage bool) (number uint32, v vtime.Time, ok bool) {
	if !perPage {
		i := w.aggregate(t)
		if i < 0 {
			return 0, nil, false
		}
		if v, ok := w[i].Pages[p]; ok {
			return w[i].Number, v, true
		}
		return 0, vtime.New(len(t)), true
	}
	for i := len(w) - 1; i >= 0; i-- {
		if v, ok := w[i].Pages[p]; ok && v.LessEq(t) {
			return w[i].Number, v, true
		}
	}
	return 0, vtime.New(len(t)), true
}

// Collect discards the checkpoints before the last one with V_H <= tmin
// (Theorem 2, Part 1) and returns their numbers.
func (w *Window) Collect(tmin vtime.Time) (gone []uint32) {
	first := max(w.aggregate(tmin), 0)
	for _, k := range (*w)[:first] {
		gone = append(gone, k.Number)
	}
	*w = slices.Clone((*w)[first:])
	return gone
}

// PageCopy is one page of one checkpoint.
type PageCopy struct {
	Number uint32
	Page   Page
}

// CollectPages discards, page by page, the copies before the last one with
// p0.v <= tmin (Theorem 1, Part 1). A checkpoint without copies goes whole,
// unless it is the last.
func (w *Window) CollectPages(tmin vtime.Time) (copies []PageCopy, gone []uint32) {
	all := slices.Clone(*w)
	found := map[Page]bool{}
	for i := len(all) - 1; i >= 0; i-- {
		pages := maps.Clone(all[i].Pages)
		for _, p := range slices.Sorted(maps.Keys(all[i].Pages)) {
			switch {
			case found[p]:
				copies = append(copies, PageCopy{all[i].Number, p})
				delete(pages, p)
			case pages[p].LessEq(tmin):
				found[p] = true
			}
		}
		all[i].Pages = pages
	}
	last := len(all) - 1
	for _, k := range all[:last] {
		if len(k.Pages) == 0 {
			gone = append(gone, k.Number)
		}
	}
	*w = slices.DeleteFunc(all, func(k Kept) bool { return slices.Contains(gone, k.Number) })
	return copies, gone
}

// Bound is V_H of the oldest checkpoint: a writer keeps the diffs beyond it
// (Theorem 2, Part 2).
func (w Window) Bound() vtime.Time { return w[0].V }

// PageBound is p0.v of the copy that CollectPages kept for tmin: a writer keeps
// the diffs beyond it (Theorem 1, Part 2).
func (w Window) PageBound(p Page, tmin vtime.Time) vtime.Time {
	for _, k := range w {
		if v, ok := k.Pages[p]; ok && v.LessEq(tmin) {
			return v
		}
	}
	return vtime.New(len(tmin))
}
