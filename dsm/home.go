// SPDX-License-Identifier: Apache-2.0

package dsm

// setHome settles a page's home for good.
func (n *Node) setHome(p Page, home NodeID) {
	pg := &n.pages[p]
	if pg.homed {
		return
	}
	pg.homed, pg.home = true, home
}

func (n *Node) homedHere(p Page) bool {
	pg := &n.pages[p]
	return pg.homed && pg.home == n.cfg.Self
}

// place gives a page a home at the program's wish.
func (n *Node) place(p Page, home NodeID) {
	if n.pages[p].homed {
		n.done()
		return
	}
	n.send(n.directory(p), HomeReq{p, home})
}

func (n *Node) onHomeReq(from NodeID, b HomeReq) {
	if n.directory(b.Page) != n.cfg.Self {
		n.ignore(from, "asks for the home of page %d, which %v knows", b.Page, n.directory(b.Page))
		return
	}
	n.setHome(b.Page, b.Want)
	n.send(from, HomeRep{b.Page, n.pages[b.Page].home})
}

func (n *Node) onHomeRep(b HomeRep) {
	n.setHome(b.Page, b.Home)
	if n.doing(Place, uint32(b.Page)) {
		n.done()
	}
	n.answered(b.Page)
}
