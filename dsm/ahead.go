// SPDX-License-Identifier: Apache-2.0

package dsm

// stream is a program that goes through memory in order.
type stream struct {
	next  Page // the first page that was not fetched with the last one
	width int  // pages that were
}

// fetchAhead fetches the pages behind one that the program waits for: none at first,
// then one, and twice as many each time that it comes to where the last ones ended. So
// of pages that nobody wants there are at most as many as were wanted. What a page
// costs alone is mostly the way to who fetches it and back; it is paid once for all.
func (n *Node) fetchAhead(p Page) {
	width := 0
	if p == n.stream.next {
		width = min(max(1, 2*n.stream.width), n.cfg.Ahead)
	}
	n.stream = stream{p + 1 + Page(width), width}
	for q := p + 1; q < n.stream.next && int(q) < n.cfg.Pages; q++ {
		pg := &n.pages[q]
		if pg.homed && pg.home != n.cfg.Self && pg.access == None && !pg.asked {
			pg.ahead = max(pg.ahead, Read)
			n.fetch(q)
		}
	}
}
