// SPDX-License-Identifier: Apache-2.0

// Package extracttest is a kernel's TCP as its memory shows it: sockets,
// sk_buffs, pages and queues, laid out as in Debian's 6.1 and 6.12 (layout/, from
// their BTF), and what the kernel does to them, store by store (§3.6.5). A test of
// package extract stops it at every store.
//
// The order of the stores is that of net/ipv4/tcp.c, tcp_input.c and tcp_output.c
// and net/core/skbuff.c; where the compiler may choose, the seed chooses. What the
// world outside knows, the peer and the application, is kept beside (Truth).
//
// The trap: it models what it models. That real kernels do nothing else is for the
// lab to show.
//
//	members, values := extracttest.Manifest("6.12")
//	target := bdtest.New(bdtest.WithManifest(members, values))
//	k := extracttest.New(target, "6.12", seed)
//	k.Stored = func() { ... } // after every store
//	s := k.Established(extracttest.Ends{Local: a, Remote: b})
//	s.Write(5000)
//	s.Transmit(2, 1448)
//	s.Acked(2000)
package extracttest
