// SPDX-License-Identifier: Apache-2.0

package shelf

import (
	"bytes"

	"lazystate/dsm"
)

// Remote is another node's shelf that is read over a network, by who has no memory in
// common with it.
type Remote struct {
	layout
	of  dsm.NodeID
	inc uint32
}

// Remote is the shelf of an incarnation of another node.
func (s *Shelf) Remote(of dsm.NodeID, inc uint32) *Remote { return &Remote{s.layout, of, inc} }

// Head is the size of what lies before a page.
func (r *Remote) Head() int { return r.headSize() }

// At is where head and page lie. They are read in this order: head, page, head.
func (r *Remote) At(p dsm.Page) (head, page int) { return r.headAt(p), r.pageAt(p) }

// Nothing is a look that has found nothing.
func (r *Remote) Nothing(p dsm.Page) dsm.Found {
	return dsm.Found{Home: r.of, Incarnation: r.inc, Page: p}
}

// Found is what the three reads have brought; count is of what lies there, for
// Shelf.Lies at its home. In which order the bytes of one read are taken is the
// device's affair, so a head's count may be older or newer than its time. But both only
// rise: heads that are the same before and after are of the page in between.
func (r *Remote) Found(p dsm.Page, head, page, again []byte) (f dsm.Found, count uint32) {
	f = r.Nothing(p)
	n := countOf(head)
	if n == 0 || n%2 == 1 || !bytes.Equal(head, again) {
		return f, 0
	}
	f.Ordinal, f.V = r.parse(head)
	f.Bytes = bytes.Clone(page)
	return f, n
}
