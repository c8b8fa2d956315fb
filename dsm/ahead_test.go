// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"slices"
	"testing"
)

// asksFor are the pages that an access makes a node ask for.
func asksFor(t *testing.T, w *world, p *proc, f Fault) (pages []Page) {
	t.Helper()
	p.waits = true
	w.perform(p, p.n.Step(f))
	for _, m := range w.net {
		if req, ok := m.Body.(PageReq); ok {
			pages = append(pages, req.Page)
		}
	}
	for len(w.net) > 0 {
		w.deliver(0, false)
	}
	if p.waits || len(w.broken) > 0 {
		t.Fatalf("waits %v: %v", p.waits, w.broken)
	}
	return pages
}

// Who goes through memory in order has more and more pages fetched at once; who jumps
// has one.
func TestFetchAhead(t *testing.T) {
	cfg := Config{Nodes: 2, Pages: 32, PageSize: 8, Ahead: 4, Home: func(p Page) (NodeID, bool) { return NodeID(1 - p/24), true }}
	w := newWorld(cfg, 1, nil, nil)
	p := w.procs[0]
	for i, c := range []struct {
		at   Page
		want []Page
	}{
		{3, []Page{3}},
		{4, []Page{4, 5}},
		{6, []Page{6, 7, 8}},
		{9, []Page{9, 10, 11, 12, 13}},
		{14, []Page{14, 15, 16, 17, 18}},
		{30, nil}, // its own
		{20, []Page{20}},
		{21, []Page{21, 22}},
		{23, []Page{23}}, // the next are its own
	} {
		if got := asksFor(t, w, p, Fault{Page: c.at}); !slices.Equal(got, c.want) {
			t.Errorf("access %d, page %d: asks for %v, not %v", i, c.at, got, c.want)
		}
	}
	for q := Page(5); q < 19; q++ {
		if p.mem.access[q] != Read {
			t.Errorf("page %d: %v", q, p.mem.access[q])
		}
	}
}
