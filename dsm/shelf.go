// SPDX-License-Identifier: Apache-2.0

package dsm

import "bytes"

// contents is a page as others may have it: not what the program is writing. It may
// take that back, and then there is no diff to say so.
func (n *Node) contents(p Page) []byte {
	if twin := n.pages[p].twin; twin != nil {
		return twin
	}
	return n.mem.Bytes(p)
}

// shelve lays a homed page out for others, once one of them has asked for it. What
// lies there is to them a message that was sent now.
func (n *Node) shelve(p Page) {
	if n.cfg.Shelves && n.rec == nil {
		n.pages[p].shelved = true
		n.do(Shelve{p, n.v.Clone(), n.ordinal, bytes.Clone(n.contents(p))})
	}
}

// shelfAhead is how many pages behind one that is asked for are laid out with it:
// programs go through memory in order.
const shelfAhead = 15

// shelveFrom lays out a page that was asked for, and those behind it that are homed
// here and do not lie there yet.
func (n *Node) shelveFrom(p Page) {
	n.shelve(p)
	for q := p + 1; q <= p+shelfAhead && int(q) < n.cfg.Pages; q++ {
		if n.homedHere(q) && !n.pages[q].shelved {
			n.shelve(q)
		}
	}
}

// outdated says of which pages the last version does not lie there any more. To lay
// them out again costs two copies each, and most are never looked at: the driver knows
// of which the version that lies there was.
func (n *Node) outdated(pages []Page) {
	var old []Page
	for _, p := range pages {
		if pg := &n.pages[p]; pg.shelved {
			pg.shelved = false
			old = append(old, p)
		}
	}
	if len(old) > 0 {
		n.do(Outdated{old})
	}
}

// wanted lays out again what somebody has taken, and may take again.
func (n *Node) wanted(pages []Page) {
	for _, p := range pages {
		switch {
		case int(p) >= n.cfg.Pages:
			n.refuse("page %d of %d is wanted on the shelf", p, n.cfg.Pages)
			return
		case n.homedHere(p) && !n.pages[p].shelved:
			n.shelve(p)
		}
	}
}

// fetch asks for a page, unless that has been done: by a look at its home's shelf,
// which often is answer enough.
func (n *Node) fetch(p Page) {
	pg := &n.pages[p]
	if !n.cfg.Shelves {
		n.ask(p, pg.home, PageReq{p, n.needs(pg)})
		return
	}
	if !pg.asked {
		pg.asked = true
		n.do(Look{pg.home, n.peers[pg.home].inc, p})
	}
}

// found takes what a look has brought; V is nil for nothing. What is not new enough,
// its home is asked for.
func (n *Node) found(in Found) {
	if int(in.Page) >= n.cfg.Pages || int(in.Home) >= n.cfg.Nodes {
		n.refuse("a look at page %d of %v", in.Page, in.Home)
		return
	}
	pg, home := &n.pages[in.Page], &n.peers[in.Home]
	if !pg.asked || pg.access != None || pg.home != in.Home || home.inc != in.Incarnation {
		return // that one is gone, and its successor has been asked
	}
	if in.V == nil || !covers(in.V, pg.need) {
		n.send(pg.home, PageReq{in.Page, n.needs(pg)})
		return
	}
	rep := PageRep{in.Page, in.V, in.Bytes}
	c := checker{cfg: n.cfg, from: in.Home}
	if rep.check(&c); c.err != nil {
		n.ignore(in.Home, "its shelf: %v", c.err)
		n.send(pg.home, PageReq{in.Page, n.needs(pg)})
		return
	}
	home.ordinal = max(home.ordinal, in.Ordinal) // as if it had said so: a replay goes at least so far
	n.count.Found++
	n.onPageRep(rep)
	n.turn()
}
