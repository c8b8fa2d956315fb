// SPDX-License-Identifier: Apache-2.0

package logs

import (
	"cmp"
	"maps"
	"slices"

	"lazystate/dsm/diff"
	"lazystate/dsm/vtime"
)

// Diff is an entry of a diff_log: what one writer changed in a page in one
// interval. T is the writer's time at the interval's end: diff.T of §4.4.3.
type Diff struct {
	Page     Page
	Writer   vtime.Node
	Interval vtime.Interval // T[Writer]
	T        vtime.Time
	Ragged   bool
	diff.Diff
}

// InOrder sorts diffs so that each stands behind those that happened before it.
func InOrder(list []Diff) {
	slices.SortStableFunc(list, func(a, b Diff) int { return cmp.Compare(a.T.Sum(), b.T.Sum()) })
}

// Diffs is the diff_log of one writer, by page and in each by interval. The
// zero value is empty.
type Diffs struct {
	pages map[Page][]Diff
	bytes int
}

// Add appends an entry.
func (l *Diffs) Add(d Diff) {
	if l.pages == nil {
		l.pages = map[Page][]Diff{}
	}
	l.pages[d.Page] = append(l.pages[d.Page], d)
	l.bytes += d.Bytes()
}

// Since returns the entries of a page with an interval above v: what Part 2 of
// Lemma 1 has a writer supply for a copy of version v.
func (l *Diffs) Since(p Page, v vtime.Interval) []Diff { return beyond(l.pages[p], v) }

// Pages returns the pages that have entries, in order.
func (l *Diffs) Pages() []Page { return slices.Sorted(maps.Keys(l.pages)) }

// Trim discards a page's entries up to bound: the home has them in every copy
// that it keeps (Theorems 1 and 2, Part 2). It returns the bytes discarded.
func (l *Diffs) Trim(p Page, bound vtime.Interval) int {
	all := l.pages[p]
	keep := trim(all, bound)
	gone := 0
	for _, d := range all[:len(all)-len(keep)] {
		gone += d.Bytes()
	}
	l.bytes -= gone
	if len(keep) == 0 {
		delete(l.pages, p)
	} else {
		l.pages[p] = keep
	}
	return gone
}

// Bytes is how many changed bytes are kept.
func (l *Diffs) Bytes() int { return l.bytes }

// All returns every entry, page by page.
func (l *Diffs) All() []Diff {
	var all []Diff
	for _, p := range l.Pages() {
		all = append(all, l.pages[p]...)
	}
	return all
}

// Ragged are diffs of others that a home keeps, because their writers could not
// make them again. The zero value is empty.
type Ragged struct {
	list  []Diff
	known map[raggedKey]bool
}

type raggedKey struct {
	page     Page
	writer   vtime.Node
	interval vtime.Interval
}

func keyOf(d Diff) raggedKey { return raggedKey{d.Page, d.Writer, d.Interval} }

// Add records a diff. What is known stays.
func (r *Ragged) Add(d Diff) {
	if r.known == nil {
		r.known = map[raggedKey]bool{}
	}
	if !r.known[keyOf(d)] {
		r.known[keyOf(d)] = true
		r.list = append(r.list, d)
	}
}

// All returns what is kept.
func (r *Ragged) All() []Diff { return r.list }

// Trim discards what lies before its writer's checkpoint.
func (r *Ragged) Trim(bound func(vtime.Node) vtime.Interval) {
	var keep []Diff
	for _, d := range r.list {
		if d.Interval > bound(d.Writer) {
			keep = append(keep, d)
		} else {
			delete(r.known, keyOf(d))
		}
	}
	r.list = keep
}
