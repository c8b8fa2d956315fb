// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"lazystate/dsm"
	"lazystate/dsm/shelf"
)

// Shelve lays a page out for the nodes on this host. It is for a node whose
// Config.Cluster has Shelves.
func (t *Transport) Shelve(e dsm.Shelve) { t.shelf.Put(e) }

// Look reads what a node has laid out: nothing, if it is on another host, or that
// incarnation is not connected.
func (t *Transport) Look(e dsm.Look) dsm.Found {
	l := t.links[e.Home]
	l.mu.Lock()
	c := l.conn
	l.mu.Unlock()
	if c != nil && c.inc == e.Incarnation {
		if s, ok := c.raw.conduit.(*shared); ok && s.theirs != nil {
			return s.theirs.Look(e.Page)
		}
	}
	return dsm.Found{Home: e.Home, Incarnation: e.Incarnation, Page: e.Page}
}

// offer is for a peer that has said hello.
func (t *Transport) offer(to hello) offer {
	return offer{t.shelf, func(fd int) (*shelf.Reader, error) { return shelf.Open(fd, t.cfg.Cluster, to.from, to.inc) }}
}
