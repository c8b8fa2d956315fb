// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"lazystate/dsm"
	"lazystate/dsm/shelf"
)

// Shelve lays a page out for the nodes on this host. It is for a node whose
// Config.Cluster has Shelves.
func (t *Transport) Shelve(e dsm.Shelve) { t.shelf.Put(e) }

// Taken is true if a node on this host has taken what Shelve laid out of a page.
func (t *Transport) Taken(p dsm.Page) bool {
	for _, l := range t.links {
		if l == nil {
			continue
		}
		if s, _ := l.shelf(); s != nil && s.Took(p) {
			return true
		}
	}
	return false
}

// Look reads what a node has laid out: nothing, if it is on another host, or that
// incarnation is not connected.
func (t *Transport) Look(e dsm.Look) dsm.Found {
	if s, inc := t.links[e.Home].shelf(); s != nil && inc == e.Incarnation {
		return s.Look(e.Page)
	}
	return dsm.Found{Home: e.Home, Incarnation: e.Incarnation, Page: e.Page}
}

// shelf is that of the incarnation that is connected, if it is on this host.
func (l *link) shelf() (*shelf.Reader, uint32) {
	l.mu.Lock()
	c := l.conn
	l.mu.Unlock()
	if c == nil {
		return nil, 0
	}
	s, ok := c.raw.conduit.(*shared)
	if !ok {
		return nil, 0
	}
	return s.theirs, c.inc
}

// offer is for a peer that has said hello.
func (t *Transport) offer(to hello) offer {
	if t.shelf == nil {
		return offer{}
	}
	return offer{t.shelf, func(fd int) (*shelf.Reader, error) { return t.shelf.Open(fd, to.from, to.inc) }}
}
