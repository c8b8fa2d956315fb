// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"slices"

	"lazystate/dsm"
	"lazystate/dsm/shelf"
)

// Shelve lays a page out for the nodes that share memory with this one or reach it
// over RDMA. It is for a node whose Config.Cluster has Shelves.
func (t *Transport) Shelve(e dsm.Shelve) { t.shelf.Put(e) }

// Taken are those of pages of which one of those nodes has taken what Shelve laid out.
// It writes over pages.
func (t *Transport) Taken(pages []dsm.Page) (taken []dsm.Page) {
	for _, l := range t.peers() {
		s, _ := l.shelf()
		if s == nil {
			continue
		}
		pages = slices.DeleteFunc(pages, func(p dsm.Page) bool {
			took := s.Took(p)
			if took {
				taken = append(taken, p)
			}
			return took
		})
	}
	return taken
}

// Look reads what a node has laid out: at once, or not now, and then Receiver.Found is
// told. It is nothing where the link is neither shared memory nor RDMA, or that
// incarnation is not connected.
func (t *Transport) Look(e dsm.Look) (f dsm.Found, now bool) {
	l := t.links[e.Home]
	s, inc := l.shelf()
	if s == nil || inc != e.Incarnation {
		return dsm.Found{Home: e.Home, Incarnation: e.Incarnation, Page: e.Page}, true
	}
	switch f, now = s.look(e.Page); {
	case now:
	case t.flushed.Load():
		l.looks.Store(true)
	default:
		s.ask()
	}
	return f, now
}

// reader is a peer's shelf as a link reaches it, and what the peer took of this node's.
type reader interface {
	look(p dsm.Page) (f dsm.Found, now bool)
	ask() // for what was not answered at once
	Took(p dsm.Page) bool
}

// near is one in memory that both have.
type near struct{ *shelf.Reader }

func (n near) look(p dsm.Page) (dsm.Found, bool) { return n.Look(p), true }

func (near) ask() {}

// shelf is that of the incarnation that is connected; nil: it is out of reach.
func (l *link) shelf() (reader, uint32) {
	l.mu.Lock()
	c := l.conn
	l.mu.Unlock()
	if c == nil {
		return nil, 0
	}
	switch conduit := c.raw.conduit.(type) {
	case *shared:
		if conduit.theirs != nil {
			return near{conduit.theirs}, c.inc
		}
	case *wired:
		if conduit.reads != nil {
			return conduit.reads, c.inc
		}
	}
	return nil, 0
}

// offer is for a peer that has said hello.
func (t *Transport) offer(to hello) offer {
	if t.shelf == nil {
		return offer{}
	}
	return offer{t.shelf, func(fd int) (*shelf.Reader, error) { return t.shelf.Open(fd, to.from, to.inc) }}
}
