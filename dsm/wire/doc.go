// SPDX-License-Identifier: Apache-2.0

// Package wire is the DSM's messages and checkpoints byte by byte: what package
// dsm says in structs (§4.3.2, §4.4), little-endian and without padding.
//
//	message     "dsm" version:1 type:1 flags:1 nodes:2 pagesize:4 from:2 to:2
//	            frominc:4 toinc:4 seq:8 ordinal:8 [news] body crc32c:4
//	checkpoint  "dsmc" version:1 nodes:2 pagesize:4 state crc32c:4
//
// Each layout is written down once, as the order in which a coder visits a
// struct's fields; the same lines encode and decode. A list has a count before
// it, a vector time has eight bytes for each node, a diff is runs or, if that is
// shorter, a mask of the page and the bytes that changed.
//
// The trap: counts are the other side's word. One is believed only as far as there
// are bytes, so that no message asks for memory that it did not bring itself. What numbers mean (pages, locks, nodes out of
// range) is checked by dsm.Node, not here.
//
//	b, err := wire.AppendMessage(nil, m, nodes, pageSize)
//	m, err := wire.ParseMessage(b, nodes, pageSize)
package wire
