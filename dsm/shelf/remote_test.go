// SPDX-License-Identifier: Apache-2.0

package shelf

import (
	"bytes"
	"testing"

	"lazystate/dsm"
)

// afar reads a page as a network does: three pieces, with something in between.
func afar(s *Shelf, r *Remote, p dsm.Page, between func()) (head, page, again []byte) {
	h, at := r.At(p)
	head = bytes.Clone(s.mem[h : h+r.Head()])
	page = bytes.Clone(s.mem[at : at+testConfig.PageSize])
	between()
	return head, page, bytes.Clone(s.mem[h : h+r.Head()])
}

func TestRemote(t *testing.T) {
	s, near := rig(t)
	r := near.mine.Remote(1, 3)
	found := func(between func()) (dsm.Found, uint32) {
		head, page, again := afar(s, r, 4, between)
		return r.Found(4, head, page, again)
	}
	nothing := func() {}
	if f, count := found(nothing); f.V != nil || count != 0 || f.Home != 1 || f.Incarnation != 3 || f.Page != 4 {
		t.Errorf("an empty shelf: %+v, %d", f, count)
	}
	for b := byte(1); b < 4; b++ {
		s.Put(laid(4, b))
		f, count := found(nothing)
		if same(t, f) != b || !s.Lies(4, count) || s.Lies(3, count) {
			t.Errorf("a page of %d: %d", b, count)
		}
	}
	if f, _ := found(func() { s.Put(laid(4, 9)) }); f.V != nil {
		t.Error("a page that was laid out meanwhile")
	}
	s.count(s.mem, 4).Add(1)
	if f, _ := found(nothing); f.V != nil {
		t.Error("half a page")
	}
}

// A head whose count is of another time than its rest is not believed.
func TestTornHead(t *testing.T) {
	s, near := rig(t)
	r := near.mine.Remote(1, 3)
	s.Put(laid(0, 1))
	old, _, _ := afar(s, r, 0, func() {})
	s.Put(laid(0, 2))
	head, page, again := afar(s, r, 0, func() {})
	torn := append(bytes.Clone(head[:4]), old[4:]...) // the count was read last
	if f, _ := r.Found(0, torn, page, again); f.V != nil {
		t.Errorf("time %v and bytes %d", f.V, f.Bytes[0])
	}
	if f, _ := r.Found(0, head, page, again); same(t, f) != 2 {
		t.Error("it is not there")
	}
}
