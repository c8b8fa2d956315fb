// SPDX-License-Identifier: Apache-2.0

// Package shelf is memory in which a node lays homed pages out (dsm.Shelve), for
// nodes on the same host to read them (dsm.Look) while the home does something else:
// a one-sided read. §4.3.2 has the home answer each request for a page.
//
// A shelf is a memfd that one incarnation of a node writes and all others map to
// read. Little-endian:
//
//	0      magic:8 "dsmshelf", version:4, node:4, nodes:4, pages:4, page size:4, incarnation:4
//	4096   a head for each page, 64 bytes or a multiple: count:4 0:4 ordinal:8, then V_H, 8 bytes a node
//	then, from the next 4096 on, what this node took of others' shelves: a count for each page, 4 bytes
//	then, from the next 4096 on, the pages
//
// A head's count is 0 before the page was ever laid out, odd while it is laid out, and
// higher by two afterwards. Who reads the same even count before and after has a page,
// version and ordinal that belong together.
//
// Who has taken a page notes its count on its own shelf. So its home knows whether
// the version that lies there has been of use to anybody, and lays the next one out only
// then: to lay a page out costs 1 us or so, and a program that writes all of its memory
// between two barriers would lay all of it out at each, for nobody. What an earlier
// incarnation's counts were is not told apart: at worst a page is laid out in vain.
//
// A node that is dead leaves its shelf to who has it mapped. What lies there is as
// good as a message that was under way at its death: the reader's core decides.
//
// The traps: the writer's order of stores is kept by x86-64, the only machine
// that this runs on; and to read a page of a memfd that was never written allocates it, so a
// head is looked at first.
//
//	mine, err := shelf.New(cfg, incarnation)
//	...
//	mine.Put(e)                                // for dsm.Shelve
//	// mine.FD() goes to a peer by SCM_RIGHTS
//	theirs, err := mine.Open(fd, home, itsIncarnation)
//	...
//	node.Step(theirs.Look(page))               // for dsm.Look
//	again := theirs.Took(page)                 // for dsm.Outdated
package shelf
