// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"encoding/binary"
	"hash/crc32"

	"lazystate/dsm/logs"
	"lazystate/dsm/vtime"
)

// NodeID names a node and the process on it.
type NodeID = vtime.Node

// Page is the number of a page.
type Page = logs.Page

// Config is the same at all nodes, but for Self.
type Config struct {
	Self     NodeID
	Nodes    int
	Pages    int
	PageSize int // at most 32 KiB, see diff.Make
	Locks    int
	Conds    int
	// Home places pages. Where it is nil or not ok, the home is where the page is
	// touched first.
	Home func(Page) (NodeID, bool)
	// PerPage keeps copies and diffs page by page (Theorem 1) instead of by whole
	// checkpoints (Theorem 2).
	PerPage bool
	// Unlogged is the protocol without what a recovery needs: no logs, no
	// checkpoints, and homes make no diffs of what they write themselves. It is what
	// the other is compared with; the loss of a node is the end.
	Unlogged bool
	// Shelves has homes lay pages out that others fetch (Shelve), and others look
	// there first (Look): a page that is new enough costs its home nothing.
	Shelves bool
	// Races has homes look for bytes that two nodes wrote with no order between them
	// (Race). It takes eight times the memory of the pages that are written.
	Races bool
	// Ahead is how many pages at most are fetched with one that is missing, of a
	// program that goes through memory in order.
	Ahead int
	// Fanout of the barriers' tree. 0: one parent for all up to seven nodes, 4
	// from eight on.
	Fanout int
}

// mostHomes are asked for, evenly spread, to tell one Home from another.
const mostHomes = 4096

// Digest tells configurations apart with which nodes would not understand each other,
// though they agree on all numbers: one takes a page to be homed where another does not.
func (c Config) Digest() uint32 {
	b := []byte{0, 0}
	for i, set := range []bool{c.PerPage, c.Unlogged} {
		if set {
			b[i] = 1
		}
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(c.Fanout))
	for i := range min(c.Pages, mostHomes) {
		home := ^uint32(0)
		if c.Home != nil {
			if h, ok := c.Home(Page(i * c.Pages / min(c.Pages, mostHomes))); ok {
				home = uint32(h)
			}
		}
		b = binary.LittleEndian.AppendUint32(b, home)
	}
	return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
}

// Access is what the program may do with a page without a fault.
type Access uint8

const (
	None Access = iota
	Read
	Write
)

func (a Access) String() string { return [...]string{"none", "read", "write"}[a] }

// Memory is the node's copy of the region, zeros at first and not accessible.
type Memory interface {
	// Bytes is a page's contents, whatever the program may do with it.
	Bytes(Page) []byte
	// Protect sets what the program may do, from now on.
	Protect(Page, Access)
}

// Scanner is a Memory where writes cause no faults, and that is asked for them
// when an interval ends. Whoever may read a page may write it then, and each such
// page has a twin from the beginning.
type Scanner interface {
	Memory
	// Written returns the pages that were written since the last call, or more.
	// What is written while it works it returns now or at the next call.
	Written() []Page
}

// untwinned is a page whose writes leave no diff: a home's own, which are in place.
func (n *Node) untwinned(p Page) bool {
	return n.cfg.Unlogged && n.homedHere(p)
}

func (n *Node) manager(lock uint32) NodeID { return NodeID(lock % uint32(n.cfg.Nodes)) }

func (n *Node) condManager(cond uint32) NodeID { return NodeID(cond % uint32(n.cfg.Nodes)) }

// directory is who settles where a page's home is.
func (n *Node) directory(p Page) NodeID { return NodeID(uint32(p) % uint32(n.cfg.Nodes)) }

func (n *Node) fanout() int {
	switch {
	case n.cfg.Fanout > 0:
		return n.cfg.Fanout
	case n.cfg.Nodes < 8:
		return n.cfg.Nodes
	}
	return 4
}

func (n *Node) parent() NodeID { return NodeID((int(n.cfg.Self) - 1) / n.fanout()) }

func (n *Node) children() []NodeID {
	var c []NodeID
	first := int(n.cfg.Self)*n.fanout() + 1
	for i := first; i < min(first+n.fanout(), n.cfg.Nodes); i++ {
		c = append(c, NodeID(i))
	}
	return c
}
