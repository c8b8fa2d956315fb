// SPDX-License-Identifier: Apache-2.0

package logs

import (
	"slices"
	"testing"

	"lazystate/dsm/diff"
	"lazystate/dsm/vtime"
)

// at is a time on the imaginary global axis of Figure 4.6.
func at(v vtime.Interval) vtime.Time { return vtime.Time{v, v, v} }

func kept(number uint32, v vtime.Time, pages map[Page]vtime.Time) Kept { return Kept{number, v, pages} }

func numbers(w Window) (all []uint32) {
	for _, k := range w {
		all = append(all, k.Number)
	}
	return all
}

// Figure 4.2, Lemma 1 Part 1: of the checkpointed copies of p the last one is
// taken that has no write W(p) of the future of T_ckp.
func TestPaperFigure42BoundsOfP0(t *testing.T) {
	w := Window{
		Beginning(2),
		kept(1, vtime.Time{1, 2}, map[Page]vtime.Time{7: {1, 2}}),
		kept(2, vtime.Time{3, 3}, map[Page]vtime.Time{7: {2, 3}}),
		kept(3, vtime.Time{4, 5}, map[Page]vtime.Time{7: {2, 5}}), // W(p) is P1's interval 5
	}
	tckp := vtime.Time{2, 4}
	if n, v, ok := w.Copy(7, tckp, true); !ok || n != 2 || !v.Equal(vtime.Time{2, 3}) {
		t.Errorf("checkpoint %d, version %v", n, v)
	}
	// Lemma 4 Part 1: V_H speaks for all pages, so the copy may be older.
	if n, v, ok := w.Copy(7, tckp, false); !ok || n != 1 || !v.Equal(vtime.Time{1, 2}) {
		t.Errorf("aggregate: checkpoint %d, version %v", n, v)
	}
	if n, v, ok := w.Copy(8, tckp, false); !ok || n != 0 || !v.Equal(vtime.New(2)) {
		t.Errorf("a page without a copy: checkpoint %d, version %v", n, v)
	}
	if _, _, ok := w[3:].Copy(7, tckp, false); ok {
		t.Error("a copy is found though what was needed is gone")
	}
}

// Figure 4.6: when P3 takes c33, c22 sets the limit of its window to c31; when
// it takes c34, c12 sets it to c32 and c31 is dropped.
func TestPaperFigure46WindowAndBounds(t *testing.T) {
	c31, c22, c32, c12, c33, c23, c34 := at(10), at(20), at(30), at(40), at(50), at(60), at(70)
	tmin := func(a, b vtime.Time) vtime.Time { m := a.Clone(); m.Meet(b); return m }

	w := Window{Beginning(3), kept(1, c31, nil), kept(2, c32, nil), kept(3, c33, nil)}
	if gone := w.Collect(tmin(c12, c22)); !slices.Equal(gone, []uint32{0}) || !slices.Equal(numbers(w), []uint32{1, 2, 3}) {
		t.Errorf("at c33 %v go and %v stay", gone, numbers(w))
	}
	w = append(w, kept(4, c34, nil))
	if gone := w.Collect(tmin(c12, c23)); !slices.Equal(gone, []uint32{1}) || !slices.Equal(numbers(w), []uint32{2, 3, 4}) {
		t.Errorf("at c34 %v go and %v stay", gone, numbers(w))
	}
	if !w.Bound().Equal(c32) {
		t.Errorf("the writers are told %v", w.Bound())
	}

	// As a producer of diffs P3 keeps those beyond c11 for pages of P1 and beyond
	// c22 for pages of P2 (Theorem 2, Part 2).
	c11 := at(5)
	var l Diffs
	for i := vtime.Interval(1); i <= 30; i++ {
		for _, p := range []Page{1, 2} {
			l.Add(Diff{Page: p, Writer: 2, Interval: i, T: at(i), Diff: diff.Diff{{Off: 0, Data: []byte{byte(i)}}}})
		}
	}
	l.Trim(1, c11[2])
	l.Trim(2, c22[2])
	if d := l.Since(1, 0); len(d) != 25 || d[0].Interval != 6 {
		t.Errorf("%d diffs for P1's page, the first of interval %d", len(d), d[0].Interval)
	}
	if d := l.Since(2, 0); len(d) != 10 || d[0].Interval != 21 {
		t.Errorf("%d diffs for P2's page, the first of interval %d", len(d), d[0].Interval)
	}
	if l.Bytes() != 35 {
		t.Errorf("%d bytes are logged", l.Bytes())
	}
}

// Theorem 1: page by page more may go than by whole checkpoints.
func TestPaperTheorem1KeepsLess(t *testing.T) {
	mk := func() Window {
		return Window{
			Beginning(2),
			kept(1, vtime.Time{2, 1}, map[Page]vtime.Time{1: {1, 0}, 2: {2, 1}}),
			kept(2, vtime.Time{2, 9}, map[Page]vtime.Time{1: {2, 0}, 2: {2, 9}}),
			kept(3, vtime.Time{3, 9}, map[Page]vtime.Time{1: {3, 0}, 2: {2, 9}}),
		}
	}
	tmin := vtime.Time{2, 5}
	whole := mk()
	if gone := whole.Collect(tmin); !slices.Equal(gone, []uint32{0}) {
		t.Errorf("whole checkpoints: %v go", gone)
	}
	byPage := mk()
	copies, gone := byPage.CollectPages(tmin)
	if !slices.Equal(copies, []PageCopy{{1, 1}}) || !slices.Equal(gone, []uint32{0}) {
		t.Errorf("by page: copies %v and checkpoints %v go", copies, gone)
	}
	if b := byPage.PageBound(1, tmin); !b.Equal(vtime.Time{2, 0}) {
		t.Errorf("page 1: p0.v is %v", b)
	}
	if b := byPage.PageBound(2, tmin); !b.Equal(vtime.Time{2, 1}) {
		t.Errorf("page 2: p0.v is %v", b)
	}
}

// Lemma 2 and Lemma 3: what goes is exactly what the bound says.
func TestPaperLogsAreTrimmedToTheirBounds(t *testing.T) {
	var w Notices
	for i := vtime.Interval(1); i <= 5; i++ {
		w.Add(Notice{Cut: Cut{Interval: i}, Pages: []Page{Page(i)}})
	}
	w.Trim(3)
	if _, whole := w.Range(3, 5); !whole {
		t.Error("an interval beyond the bound is gone")
	}
	if _, whole := w.Range(2, 5); whole {
		t.Error("an interval up to the bound is kept")
	}
	var a Acquires
	for o := uint64(2); o <= 8; o += 2 {
		a.Add(Acquire{Ordinal: o})
	}
	if a.Trim(5); len(a) != 2 || a[0].Ordinal != 6 {
		t.Errorf("%+v", a)
	}
}

// The greatest number is a bound like any other: an interval of that number is
// what a peer's nonsense asks for.
func TestBoundsEndWithTheNumbers(t *testing.T) {
	const last = ^vtime.Interval(0)
	var w Notices
	var d Diffs
	for i := vtime.Interval(1); i <= 3; i++ {
		w.Add(Notice{Cut: Cut{Interval: i}})
		d.Add(Diff{Interval: i})
	}
	if r, whole := w.Range(2, last); whole || len(r) != 1 || r[0].Interval != 3 {
		t.Errorf("of (2, %d]: %+v, whole %v", last, r, whole)
	}
	if all := d.Since(0, last); len(all) != 0 {
		t.Errorf("beyond %d: %+v", last, all)
	}
	if w.Trim(last); len(w.All()) != 0 {
		t.Errorf("trimmed up to %d: %+v", last, w.All())
	}
}

// A writer that was recovered may have its writes in other intervals: who has
// both histories passes on the pages of both.
func TestNoticesAreJoined(t *testing.T) {
	var w Notices
	w.Add(Notice{Cut: Cut{Interval: 1}, Pages: []Page{3, 5}})
	w.Add(Notice{Cut: Cut{Interval: 1}, Pages: []Page{4, 5}})
	if r, _ := w.Range(0, 1); len(r) != 1 || !slices.Equal(r[0].Pages, []Page{3, 4, 5}) {
		t.Errorf("%+v", r)
	}
}

// A cut that is only a bound gives way to one that is known.
func TestCutsBecomeExact(t *testing.T) {
	var c Cuts
	c.Add(Cut{Interval: 2, Ordinal: 9, Bound: true})
	c.Add(Cut{Interval: 2, Ordinal: 8, Bound: true})
	if c.Add(Cut{Interval: 2, Ordinal: 9, Bound: true}); c[0].Ordinal != 8 {
		t.Errorf("of two bounds the worse: %+v", c)
	}
	c.Add(Cut{Interval: 2, Ordinal: 7})
	c.Add(Cut{Interval: 2, Ordinal: 8})
	if len(c) != 1 || c[0].Ordinal != 7 {
		t.Errorf("%+v", c)
	}
}
